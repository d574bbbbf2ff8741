"""``srtrain verify RECIPE --weights FILE``: compare weights with the scores that the recipe expects."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtrain.cli import arguments
from srtrain.cli.recipe import read_recipe
from srtrain.errors import RecipeError

HELP = "compare weights with the scores that a recipe expects"
EXAMPLES = """\
examples:
  srtrain verify recipes/edsr_x2.py --weights runs/edsr_x2 data.root=data/DIV2K
  srtrain verify recipes/edsr_f64b5_x2.py --weights EDSR_f64b5_x2.npz data.root=data
"""
RUN = "srtrain.jobs.verify:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipe, the weights and the tolerance."""
    arguments.add_recipe(parser)
    parser.add_argument(
        "--weights",
        metavar="FILE",
        type=Path,
        required=True,
        help="a run folder, a step_… folder, or a file of weights",
    )
    parser.add_argument(
        "--tolerance-db",
        metavar="DB",
        type=float,
        default=0.005,
        help="allowed difference in PSNR in dB (default: 0.005)",
    )
    parser.add_argument(
        "--tolerance-ssim",
        metavar="X",
        type=float,
        default=0.0002,
        help="allowed difference in SSIM (default: 0.0002)",
    )


def check(args: argparse.Namespace) -> None:
    """Read the recipe, which must expect a score."""
    read_recipe(args)
    benchmarks = args.resolved.benchmarks
    if not any(b is not None and b.expects for b in benchmarks.values()):
        name = next((name for name, b in benchmarks.items() if b is not None), "")
        first = "" if name else "Add a set first: benchmarks.set5=set5. "
        name = name or "set5"
        raise RecipeError(
            f"{args.recipe!r} expects no score. {first}Give a set one, such as "
            f"benchmarks.{name}.psnr=37.99 (plain) or benchmarks.{name}.ensemble_psnr=38.20 (self-ensemble)."
        )
