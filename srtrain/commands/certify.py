"""``srtrain certify``: check what a device computes, and write one file that its owner can send."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtrain.cli import arguments
from srtrain.errors import RecipeError

HELP = "check what a device computes, and write the results to one file"
EXAMPLES = """\
examples:
  srtrain certify                                              # the CPU with itself, to try the command
  srtrain certify --plugin ascend --device ascend              # about ten minutes on a card
  srtrain certify --plugin ascend --device ascend id=3 jit_level=O1 --to card3.json
"""
RUN = "srtrain.jobs.diagnose.certify:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the device, its options, and the file."""
    arguments.add_overrides(parser, "options of the device, such as id=3")
    arguments.add_device(parser, "backend to check (default: cpu)", default="cpu")
    parser.add_argument(
        "--to",
        metavar="FILE",
        type=Path,
        default=Path("certificate.json"),
        help="file to write (default: certificate.json)",
    )
    parser.add_argument(
        "--steps", metavar="N", type=int, default=60, help="updates of each short training (default: 60)"
    )
    parser.add_argument(
        "--tests",
        metavar="FOLDER",
        type=Path,
        default=Path("tests/device"),
        help="tests that need a card (default: tests/device of this repository)",
    )
    arguments.add_overwrite(parser, "replace an existing file")


def check(args: argparse.Namespace) -> None:
    """Check the options and the file."""
    if args.steps < 10:
        raise RecipeError(f"--steps {args.steps} is too short to compare; give 10 or more.")
    for word in args.overrides:
        if "=" not in word:
            raise RecipeError(f"{word!r} is not an option of the device. Write key=value, such as id=3.")
    if args.to.is_dir():
        raise RecipeError(f"--to {str(args.to)!r} is a folder. Give a file, such as certificate.json.")
    if args.to.exists() and not args.overwrite:
        raise RecipeError(f"{str(args.to)!r} exists. Add --overwrite, or give another file with --to.")
    if not args.to.absolute().parent.is_dir():
        raise RecipeError(f"--to {str(args.to)!r}: there is no folder {str(args.to.absolute().parent)!r}.")
