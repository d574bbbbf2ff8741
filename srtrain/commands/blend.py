"""``srtrain blend A B --at 0.3 --to DEST``: interpolate the weights of two networks of one architecture."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtrain.cli import arguments
from srtrain.errors import UserError

HELP = "interpolate the weights of two networks of one architecture"
EXAMPLES = """\
examples:
  srtrain blend runs/edsr_l1 runs/edsr_ssim --at 0.3 --to runs/between
  srtrain blend EDSR_x2.pt runs/mine --at 0.5 --to between.safetensors

The result is (1 - at) · A + at · B, weight by weight. It is of use for networks that one began from the other.
"""
RUN = "srtrain.jobs.convert:blend_command"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two networks, the place between them, and where the result goes."""
    for name in ("A", "B"):
        parser.add_argument(
            name.lower(),
            metavar=name,
            type=Path,
            help="a run folder, a checkpoint, or a file of weights that srtrain reads",
        )
    parser.add_argument("--at", metavar="T", type=float, required=True, help="0 gives A, 1 gives B")
    parser.add_argument(
        "--to",
        metavar="DEST",
        type=Path,
        required=True,
        help="a folder for a checkpoint, or a file of weights with our names",
    )
    arguments.add_overwrite(parser, "replace an earlier result")


def check(args: argparse.Namespace) -> None:
    """Refuse a place outside of the two networks, and a target that may not be written."""
    if not 0 <= args.at <= 1:
        raise UserError(f"--at {args.at:g} is not between 0, which gives A, and 1, which gives B.")
    arguments.check_weights_target(args.to, args.overwrite)
