"""``srtrain plugins``: list the plugins that are found, active or broken, and what each registers."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtrain.recipe.load import load_recipe

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
    if args.recipe:
        args.asked = {**dict.fromkeys(load_recipe(args.recipe).plugins, args.recipe), **args.asked}
    args.beside = Path(args.recipe or ".").parent
    args.plugin = []
