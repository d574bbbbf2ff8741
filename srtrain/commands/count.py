"""``srtrain count MODEL``: count the parameters and multi-adds of networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtrain.cli import arguments
from srtrain.errors import RecipeError
from srtrain.recipe.load import load_recipe, recipe_named
from srtrain.recipe.override import override

HELP = "count the parameters and multi-adds of networks"
EXAMPLES = """\
examples:
  srtrain count recipes/edsr_x2.py recipes/esr_x2_full.py
  srtrain count runs/quickstart --output-px 3840x2160
  srtrain count recipes/edsr_baseline_x2.py model.n_feats=32 --json
"""
RUN = "srtrain.jobs.count:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the networks and the size of the picture."""
    parser.add_argument(
        "models", metavar="MODEL", nargs="+", help="a recipe or its name, a run folder, or a file of weights"
    )
    arguments.add_overrides(parser, "changes to the recipes among the models")
    parser.add_argument(
        "--output-px",
        metavar="WxH",
        default="1280x720",
        help="size of the output that multi-adds are counted for (default: 1280x720)",
    )
    arguments.add_json(parser)


def check(args: argparse.Namespace) -> None:
    """Read the size and the recipes: ``args.networks`` holds each model with its recipe, or ``None`` for weights."""
    args.output_px = arguments.parse_px("--output-px", args.output_px, "WIDTHxHEIGHT, such as 1280x720")
    words = [*args.models, *args.overrides]
    overrides = [word for word in words if "=" in word]
    if len(words) == len(overrides):
        raise RecipeError(
            f"there is no network to count: {overrides[0]!r} is a change to a recipe. Name a recipe, a run folder or a "
            f"file of weights first, as in srtrain count recipes/edsr_baseline_x2.py {overrides[0]}"
        )
    args.networks = [
        (name, override(load_recipe(file), overrides) if (file := _recipe_file(name)) else None)
        for name in words
        if "=" not in name
    ]


def _recipe_file(name: str) -> Path | None:
    """Return the file of a recipe; ``None`` for weights and run folders."""
    file = recipe_named(name)
    return file if file is not None and file.suffix == ".py" else None
