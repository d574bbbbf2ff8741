"""``srtrain data unpack|check|bicubic|cache``: unpack, check and prepare pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtrain.cli import arguments
from srtrain.data import DATASETS
from srtrain.errors import DataError
from srtrain.recipe.override import parse_value

HELP = "unpack, check and prepare pictures"
EXAMPLES = """\
examples:
  srtrain data unpack DIV2K_train_HR.zip DIV2K_train_LR_bicubic_X2.zip --to data/DIV2K
  srtrain data bicubic data/T91/HR --scale 2 3 4
  srtrain data check set5 set14 --root data --scale 2 3 4
  srtrain data check div2k_train --root data --scale 2 --against set5 set14=other/folder
  srtrain data check folder lr_type=on_the_fly --root my_pictures --scale 2 --json
  srtrain data cache div2k_train --root data --scale 2
"""
RUN = "srtrain.jobs.data:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the four actions."""
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")

    unpack = actions.add_parser("unpack", help="unpack the official zip files and count the pictures")
    unpack.add_argument("zips", metavar="ZIP", nargs="+", type=Path)
    unpack.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="where to unpack")

    check = actions.add_parser("check", help="check every file of a data set and report what is wrong")
    _add_set(check)
    check.add_argument(
        "--against",
        metavar="SET[=ROOT]",
        nargs="+",
        default=[],
        type=arguments.parse_set,
        help="test sets, which must not share a picture with the data set",
    )
    check.add_argument("--no-psnr", action="store_true", help="skip the bicubic PSNR, which takes longest")
    arguments.add_json(check)

    bicubic = actions.add_parser("bicubic", help="write low-resolution folders as MATLAB's imresize does")
    bicubic.add_argument("gt", metavar="FOLDER", type=Path, help="the ground truth")
    arguments.add_scale(bicubic, "scales to write (default: 2 3 4)", (2, 3, 4))
    bicubic.add_argument(
        "--to",
        metavar="FOLDER",
        type=Path,
        help="where to write (default: the folder LR_bicubic beside the ground truth)",
    )
    arguments.add_overwrite(bicubic, "replace existing files")

    cache = actions.add_parser("cache", help="decode a data set into the cache that data.cache=mmap reads")
    _add_set(cache)
    cache.add_argument(
        "--dir",
        metavar="FOLDER",
        type=Path,
        help="folder of the cache (default: $SRTRAIN_CACHE, or ~/.cache/srtrain)",
    )


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        metavar="SET[=ROOT]",
        nargs="+",
        help="data sets, such as div2k_train, set5 or folder",
    )
    arguments.add_overrides(parser, "further arguments of the data sets, such as split=valid")
    arguments.add_root(parser)
    arguments.add_scale(parser, "scales to look at (default: 2)", (2,))


def check(args: argparse.Namespace) -> None:
    """Check the scales and read the arguments of the data set."""
    if args.action == "bicubic" and min(args.scale) < 2:
        raise DataError(f"--scale {min(args.scale)} does not make a picture smaller; 2, 3 and 4 are usual.")
    args.sets, args.set_arguments = [], {}
    for text in [*getattr(args, "words", ()), *getattr(args, "overrides", ())]:
        key, equals, value = text.partition("=")
        if not args.sets or not equals or key in DATASETS:
            args.sets.append(arguments.parse_set(text))
            DATASETS.get(args.sets[-1][0])  # raises the error about an unknown name
        else:
            args.set_arguments[key] = parse_value(value)
