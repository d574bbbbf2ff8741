"""``srtrain plugins``: list the plugins that are found, active or broken, and what each registers."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtrain.cli.recipe import run_folder_of
from srtrain.consent import allowed
from srtrain.recipe.load import load_recipe, recipe_named

HELP = "list plugins: found, active, broken, and what each registers"
EXAMPLES = """\
examples:
  srtrain plugins                               every installed plugin; none of them is active
  srtrain plugins recipes/quickstart.py --plugin my_hook.py
"""
RUN = "srtrain.jobs.plugins:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipe whose plugins are looked at."""
    parser.add_argument(
        "recipe", metavar="RECIPE", nargs="?", help="show the plugins of this recipe as active"
    )


def check(args: argparse.Namespace) -> None:
    """Read the recipe; ``args.asked`` maps each plugin to who asks for it.

    The job activates the plugins itself, because it reports the broken ones instead of stopping there.
    """
    args.asked = dict.fromkeys(args.plugin, "--plugin")
    args.recipe = args.recipe and str(recipe_named(args.recipe) or args.recipe)
    args.beside = Path(args.recipe or ".").parent
    if args.recipe:
        wanted, run_folder = load_recipe(args.recipe).plugins, run_folder_of(args.recipe)
        if run_folder is not None:
            wanted = tuple(allowed(wanted, run_folder, args.plugin, args.beside))
        args.asked = {**dict.fromkeys(wanted, args.recipe), **args.asked}
    args.plugin = []
