"""``srtrain export CHECKPOINT --to FILE``: a file for other engines and devices, checked against the checkpoint."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from srtrain import plugins
from srtrain.errors import CheckpointError, DataError, UserError

if TYPE_CHECKING:
    from srtrain.data.store import Pictures
    from srtrain.export.options import Options

HELP = "write MindIR, ONNX, ncnn or AIR, checked against the checkpoint"
EXAMPLES = """\
examples:
  srtrain export runs/edsr_x2 --to edsr_x2.onnx
  srtrain export EDSR_x2.pt --to edsr_x2.mindir --input-px 1020x1020 --batch 1
  srtrain export runs/edsr_x2 --to edsr_x2.param                # ncnn: .param and .bin
  srtrain export runs/edsr_x2 --to edsr_x2_int8.onnx --precision int8 --calibrate data/T91 --measure set5=data/Set5
"""

_EMBEDDED = "embedded"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the checkpoint, the file, and how it is to be."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        type=Path,
        help="a run folder (its best checkpoint), a step_… folder, or a file of weights",
    )
    parser.add_argument(
        "--to", metavar="FILE", type=Path, required=True, help=".onnx, .mindir, .param (ncnn) or .air"
    )
    parser.add_argument(
        "--input-px", metavar="HxW", help="the only height and width that the file takes; default: any"
    )
    parser.add_argument(
        "--batch", metavar="N", type=int, help="the only number of pictures at once; default: any"
    )
    parser.add_argument(
        "--precision", metavar="NAME", default="float32", help="float32, float16 or int8; the latter for ONNX"
    )
    parser.add_argument(
        "--calibrate",
        metavar="SET[=ROOT]",
        default=_EMBEDDED,
        help="pictures that int8 finds its ranges on: a data set, or a folder (default: those in the package)",
    )
    parser.add_argument(
        "--measure",
        metavar="SET[=ROOT]",
        default=_EMBEDDED,
        help="pictures that the cost of float16 and int8 is measured on",
    )
    parser.add_argument(
        "--protocol", metavar="NAME", default="paper_y", help="how it is measured; default: paper_y"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.add_argument("--threads", metavar="N", type=int, default=0, help="cores to use; 0 takes all")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="NAME", help="plugin to activate; repeatable"
    )


def run(args: argparse.Namespace) -> int:
    """Export, and say what came of it; return the exit code."""
    from srtrain.export.format import prepared_format
    from srtrain.export.options import Options

    for name in args.plugin:  # a plugin may bring the format that --to asks for
        plugins.activate(name)
    options = Options(parse_px(args.input_px), args.batch, args.precision)
    args.checkpoint = args.checkpoint.expanduser()
    if not args.checkpoint.exists():
        raise CheckpointError(
            f"{str(args.checkpoint)!r} does not exist. Give a run folder, a step_… folder, or a file of weights."
        )
    prepared_format(args.to, options, args.overwrite)
    from srtrain.export.write import (
        export,  # imports MindSpore, which takes seconds: not needed to find a mistake
    )

    if options.precision != "float32":
        return _run_quantised(args, options)
    report = export(args.checkpoint, args.to, options, args.overwrite, args.threads)
    shapes = ", ".join("x".join(map(str, shape)) for shape in report.difference.shapes)
    print(
        f"wrote {report.file}\n"
        f"largest difference from the checkpoint: {report.difference.largest:.2g} grey levels (batch x height x "
        f"width: {shapes})"
    )
    return 0


def parse_px(text: str | None) -> tuple[int, int] | None:
    """Return (height, width) of a text such as ``1020x1020``.

    Raises:
        UserError: it says something else.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)[x×](\d+)", text)
    if found is None:
        raise UserError(f"--input-px {text!r} is no size; write height and width as 1020x1020.")
    return int(found[1]), int(found[2])


def _run_quantised(args: argparse.Namespace, options: Options) -> int:
    """Export in float32, check that, take bits away, and measure what they were worth."""
    from srtrain.evaluation.evaluator import EvalSet
    from srtrain.export.quantise import export_quantised
    from srtrain.metrics import PROTOCOLS

    protocol = PROTOCOLS.build(args.protocol)

    def benchmark(scale: int) -> EvalSet:
        name = "chelsea" if args.measure == _EMBEDDED else args.measure.partition("=")[0]
        return EvalSet(name, open_pictures(args.measure, scale, ("chelsea",)), scale, protocol)

    def calibration(scale: int) -> Pictures:
        return open_pictures(args.calibrate, scale, ("astronaut", "coffee", "rocket"))

    report, cost = export_quantised(
        args.checkpoint,
        args.to,
        options,
        calibration,
        benchmark,
        overwrite=args.overwrite,
        threads=args.threads,
    )
    print(f"wrote {report.file}\nPSNR: {cost}")
    return 0


def open_pictures(given: str, scale: int, embedded: tuple[str, ...]) -> Pictures:
    """Return the pictures that a user names: ``SET=ROOT``, a folder, or those in the package.

    Raises:
        DataError: there is no such set or folder.
        UnknownNameError: ``SET`` is none.
    """
    from srtrain.data import DATASETS
    from srtrain.data.store import Pictures

    name, equals, root = given.partition("=")
    if given == _EMBEDDED:
        pairs = DATASETS.build(_EMBEDDED, scale=scale, names=embedded)
    elif equals:
        pairs = DATASETS.build(name, root=root, scale=scale)
    elif Path(given).is_dir():
        made = not (Path(given) / "LR_bicubic" / f"X{scale}").is_dir()
        pairs = DATASETS.build("folder", root=given, scale=scale, lr_type="on_the_fly" if made else "bicubic")
    else:
        raise DataError(
            f"{given!r} is no folder. Give a folder of pictures, or a data set with its folder, such as set5=data/Set5."
        )
    return Pictures(pairs, scale, cache="none")
