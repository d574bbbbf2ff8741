"""Export a checkpoint to a file for another engine or device."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtrain.data.folders import with_option
from srtrain.data.store import Pictures
from srtrain.errors import DataError
from srtrain.evaluation.evaluator import EvalSet
from srtrain.export.programs import Program
from srtrain.export.quantise import export_quantised
from srtrain.export.write import Report, export
from srtrain.jobs.sets import open_set
from srtrain.metrics import PROTOCOLS

_ENDS = {
    "collapsed": "one convolution instead of the layers after the last ReLU",
    "plain": "the layers of the checkpoint",
}


def run(args: argparse.Namespace) -> int:
    """Export, and print the difference from the checkpoint; return the exit code."""
    if args.options.precision != "float32":
        return _run_quantised(args)
    report = export(args.checkpoint, args.to, args.options, args.overwrite, args.threads)
    shapes = ", ".join("x".join(map(str, shape)) for shape in report.difference.shapes)
    print(
        f"wrote {report.file}\n"
        f"end of the network: {_ENDS[report.about['linear_end']]}\n"
        f"largest difference from the checkpoint: {report.difference.largest:.2g} grey levels (batch x height x "
        f"width: {shapes})"
    )
    if args.options.program:
        _say_how(args.options.program, report)
    return 0


def _say_how(program: Program, report: Report) -> None:
    """Print how to use a file with another program, and what is special about it."""
    print(program.advice(report.file, int(report.about["scale"])))
    reach = report.about["receptive_px"]
    if program.margin_px is not None and (reach is None or reach > program.margin_px):
        seen = "an unknown number of pixels" if reach is None else f"{reach} px"
        print(
            f"note: {program.name} cuts large pictures into tiles with margins of {program.margin_px} px, and this "
            f"network looks {seen} far. Larger tiles have fewer seams (-t)."
        )


def _run_quantised(args: argparse.Namespace) -> int:
    """Export in float32, check that file, reduce its precision, and measure what that costs."""
    protocol = PROTOCOLS.build(args.protocol)

    def benchmark(scale: int) -> EvalSet:
        name = "chelsea" if args.measure[0] == "embedded" else args.measure[0]
        return EvalSet(name, open_pictures(args.measure, scale, ("chelsea",)), scale, protocol)

    def calibration(scale: int) -> Pictures:
        return open_pictures(args.calibrate, scale, ("astronaut", "coffee", "rocket"))

    report, cost = export_quantised(
        args.checkpoint,
        args.to,
        args.options,
        calibration,
        benchmark,
        overwrite=args.overwrite,
        threads=args.threads,
    )
    print(f"wrote {report.file}\nPSNR: {cost}")
    return 0


def open_pictures(given: tuple[str, str], scale: int, embedded: tuple[str, ...]) -> Pictures:
    """Return the pictures of a data set.

    Args:
        given: name and folder of the set. Of the set ``folder``, low-resolution pictures are made where none exist.
        scale: of the pairs.
        embedded: names to use of the pictures in the package.

    Raises:
        DataError: there is no such folder.
        UnknownNameError: there is no such data set.
    """
    name, root = given
    if name == "embedded":
        return open_set(name, root, scale, names=embedded)
    if name == "folder" and not (Path(root) / "LR_bicubic" / f"X{scale}").is_dir():
        return open_set(name, root, scale, lr_type="on_the_fly")
    try:
        return open_set(name, root, scale)
    except DataError as error:
        raise with_option(error, f"folder={root}") from error
