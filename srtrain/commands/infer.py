"""``srtrain infer [MODEL] INPUT…``: upscale pictures and videos."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from srtrain.cli import arguments
from srtrain.errors import RecipeError
from srtrain.zoo import names

HELP = "upscale pictures, folders and videos"
EXAMPLES = """\
examples:
  srtrain infer photo.jpg                                  with the best built-in model; writes photo_x2.jpg beside it
  srtrain infer photos --scale 4 --to large                a folder, its structure kept
  srtrain infer edsr_small_x2 photo.jpg                    with a built-in model by name (srtrain models)
  srtrain infer runs/edsr_x2 photo.png --to large.png --compare
  srtrain infer edsr_x2.onnx 'photos/**/*.tif' film.mp4 --to large --overwrite
  srtrain infer edsr_x2.onnx huge.png --memory 800MB --self-ensemble
  cat a.png | srtrain infer edsr_x2.onnx - > b.png
"""
RUN = "srtrain.jobs.infer:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, the pictures, and how to upscale them."""
    parser.add_argument(
        "words",
        metavar="[MODEL] INPUT",
        nargs="+",
        help="the model (a built-in one by name, an exported file, a run folder, or a file of weights; left out, the "
        "best built-in one), then pictures, videos, folders, quoted patterns, or - for standard input",
    )
    parser.add_argument(
        "--to", metavar="PATH", help="file or folder of the outputs, or - (default: beside the inputs)"
    )
    arguments.add_overwrite(parser, "replace existing outputs")
    parser.add_argument(
        "--format", metavar="NAME", help="png, jpg, webp, tiff or bmp (default: the input's format)"
    )
    parser.add_argument(
        "--quality", metavar="N", type=int, default=95, help="of JPEG and WebP, 1 to 100 (default: 95)"
    )
    parser.add_argument(
        "--self-ensemble", action="store_true", help="mean of eight orientations; takes eight times as long"
    )
    parser.add_argument(
        "--compare", action="store_true", help="also write …_compare.png, with bicubic and a detail"
    )
    _add_limits(parser)
    parser.add_argument(
        "--model",
        dest="network",
        metavar="NAME",
        help="the model, and all words are inputs then; or the network of a weights file of another framework, "
        "such as rdn",
    )
    arguments.add_network_arguments(parser)
    parser.add_argument(
        "--scale",
        metavar="N",
        type=int,
        help="scale of the built-in model (default: 2), or of a network for several scales (default: its recipe's)",
    )
    arguments.add_engine(parser)
    arguments.add_range(parser)
    arguments.add_engine_options(parser)
    arguments.add_device(parser, "backend of checkpoints, such as ascend")
    arguments.add_threads(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """Add the tiles and the memory."""
    parser.add_argument(
        "--tile",
        metavar="auto|N",
        default="auto",
        help="side of the tiles in pixels; auto uses the largest that fit the memory (default: auto)",
    )
    parser.add_argument(
        "--overlap",
        metavar="N",
        type=int,
        help="overlap of the tiles in pixels (default: the network's receptive field)",
    )
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        default="1.5GB",
        help="memory that the process may use, or that of the card if the model runs on one (default: 1.5GB)",
    )


def check(args: argparse.Namespace) -> None:
    """Check the options that need no file; add ``to_standard`` and turn ``tile`` into pixels or ``None``."""
    arguments.check_engine_options(args)
    args.model = None
    if args.network is not None and (args.network in names() or Path(args.network).expanduser().exists()):
        args.model, args.network = args.network, None
    network = arguments.network_from(args.network, args.model_args, args.scale, args.range)
    args.model_args = {} if network is None else network.model_args
    args.to_standard = args.to == "-" or (args.to is None and "-" in args.words)
    if args.to_standard and args.compare:
        raise RecipeError(
            "--compare writes a file beside the output, and standard output has no place for it: add --to FILE."
        )
    if args.to_standard and sys.stdout.isatty():
        raise RecipeError(
            "standard output is a terminal, which cannot show a picture: add > FILE or --to FILE."
        )
    if not 1 <= args.quality <= 100:
        raise RecipeError(f"--quality {args.quality} is not between 1 and 100.")
    if args.tile != "auto" and not (args.tile.isdecimal() and int(args.tile)):
        raise RecipeError(f"--tile {args.tile} is neither auto nor a number of pixels.")
    args.tile = None if args.tile == "auto" else int(args.tile)
