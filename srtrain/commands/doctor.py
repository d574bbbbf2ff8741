"""``srtrain doctor``: check this machine for problems."""

from __future__ import annotations

import argparse

from srtrain.cli import arguments
from srtrain.errors import RecipeError
from srtrain.recipe.load import load_recipe

HELP = "check this machine for problems: versions, devices, ports, left processes, memory, disk"
EXAMPLES = """\
examples:
  srtrain doctor
  srtrain doctor --dry-run recipes/edsr_x2.py      # compile it for an Ascend card that need not be here
  srtrain doctor --json | jq '.findings[] | select(.level != "ok")'
"""
RUN = "srtrain.jobs.diagnose.doctor:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how to print, and the recipe to compile."""
    arguments.add_json(parser)
    parser.add_argument(
        "--dry-run",
        metavar="RECIPE",
        help="compile this recipe under MindSpore's simulation of an Ascend card, or say what is missing for it",
    )


def check(args: argparse.Namespace) -> None:
    """Read the recipe, so that its mistakes are reported first."""
    if args.dry_run is not None:
        if args.json:
            raise RecipeError("--dry-run prints no JSON: leave --json out.")
        load_recipe(args.dry_run)
        args.run = "srtrain.jobs.diagnose.dry_run:run"
