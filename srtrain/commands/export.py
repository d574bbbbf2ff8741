"""``srtrain export CHECKPOINT --to FILE``: write a file for another engine or device, and check it."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtrain.cli import arguments
from srtrain.errors import CheckpointError, DataError
from srtrain.export.format import prepared_format
from srtrain.export.options import Options
from srtrain.export.programs import PROGRAMS, program_named
from srtrain.metrics import PROTOCOLS
from srtrain.weights.network import check_network

HELP = "write MindIR, ONNX, ncnn or AIR, checked against the checkpoint"
EXAMPLES = """\
examples:
  srtrain export runs/edsr_x2 --to edsr_x2.onnx
  srtrain export EDSR_x2.pt --to edsr_x2.mindir --input-px 1020x1020 --batch 1
  srtrain export runs/edsr_x2 --to edsr_x2.param                # ncnn: .param and .bin
  srtrain export runs/mdsr --to mdsr_x3.onnx --scale 3          # one scale of a network for several
  srtrain export IMDN_x2.pth --model imdn --plugin light --to imdn_x2.onnx
  srtrain export runs/edsr_x2 --to my_models/edsr_x2.param --for upscayl
  srtrain export runs/edsr_x2 --to edsr_x2_int8.onnx --precision int8 --calibrate data/T91 --measure set5=data/Set5
"""
RUN = "srtrain.jobs.export:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the checkpoint, the file, and its sizes and precision."""
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
        "--input-px", metavar="HxW", help="the only height and width that the file takes (default: any)"
    )
    parser.add_argument(
        "--batch", metavar="N", type=int, help="the only batch size that the file takes (default: any)"
    )
    parser.add_argument(
        "--precision",
        metavar="NAME",
        default="float32",
        help="float32, or for ONNX float16 or int8 (default: float32)",
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="keep the layers after the last ReLU (default: one convolution, except in ncnn and native files)",
    )
    arguments.add_network(parser)
    arguments.add_one_scale(parser)
    arguments.add_range(parser, arguments.OF_WEIGHTS)
    parser.add_argument(
        "--for",
        dest="program",
        metavar="PROGRAM",
        help=f"write the file as another program takes it: {', '.join(PROGRAMS)}",
    )
    _add_measuring(parser)
    arguments.add_overwrite(parser, "replace existing files")
    arguments.add_threads(parser)


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    """Add the pictures and the protocol for float16 and int8."""
    for option, purpose in (
        ("--calibrate", "pictures to find the ranges of int8 with"),
        ("--measure", "pictures to measure the loss of float16 and int8 on"),
    ):
        parser.add_argument(
            option,
            metavar="SET[=ROOT]",
            default="embedded",
            type=parse_pictures,
            help=f"{purpose}: a data set or a folder (default: pictures in the package)",
        )
    arguments.add_protocol(
        parser, "protocol that the loss is measured with (default: paper_y)", default="paper_y"
    )


def parse_pictures(text: str) -> tuple[str, str]:
    """Return the name and the folder of a data set; a folder alone is the data set ``folder``.

    Raises:
        DataError: it is neither a folder nor ``SET=ROOT``.
        RecipeError: as ``parse_set``.
    """
    if "=" in text or text == "embedded":
        return arguments.parse_set(text)
    if not Path(text).is_dir():
        raise DataError(
            f"{text!r} is not a folder. Give a folder of pictures, or a data set with its folder, such as "
            f"set5=data/Set5."
        )
    return "folder", text


def check(args: argparse.Namespace) -> None:
    """Check the sizes, the precision, the checkpoint and the target; add ``args.options``."""
    form = "HEIGHTxWIDTH, such as 1020x1020"
    input_px = None if args.input_px is None else arguments.parse_px("--input-px", args.input_px, form)
    program = program_named(args.program) if args.program else None
    network = arguments.network_from(args.model, args.model_args, args.scale, args.range)
    scale = args.scale if network is None else None
    args.options = Options(input_px, args.batch, args.precision, args.plain, scale, program, network)
    args.checkpoint = args.checkpoint.expanduser()
    check_network(args.checkpoint, network)
    if not args.checkpoint.exists():
        raise CheckpointError(
            f"{str(args.checkpoint)!r} does not exist. Give a run folder, a step_… folder, or a file of weights."
        )
    arguments.check_names(PROTOCOLS, [args.protocol], args)
    if not args.plugin:  # a plugin may supply the format, so with one the job checks
        prepared_format(args.to, args.options, args.overwrite)
