"""``srtrain run RECIPE``: train a recipe."""

from __future__ import annotations

import argparse

from srtrain.cli import arguments
from srtrain.cli.main import function_named
from srtrain.cli.recipe import read_recipe
from srtrain.device.interrupt import InterruptWatch
from srtrain.errors import RecipeError

HELP = "train a recipe"
EXAMPLES = """\
examples:
  srtrain run recipes/quickstart.py
  srtrain run recipes/edsr_x3_finetune.py data.root=DIV2K init_from=runs/edsr_x2
  srtrain run recipes/quickstart.py optim.lr=1e-3 hooks.evaluate.every=200 hooks.ema=ema
  srtrain run recipes/quickstart.py --resume
  srtrain run recipes/edsr_zoo_x2.py --smoke
  srtrain run recipes/quickstart.py --plugin my_hook.py hooks.mine=my_hook
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipe, its overrides, and how to start."""
    arguments.add_recipe(parser)
    arguments.add_resume(parser)
    arguments.add_overwrite(parser, "delete what an earlier run left in the run folder")
    parser.add_argument(
        "--smoke", action="store_true", help="run the small version of the recipe, one minute on a CPU"
    )
    parser.add_argument("--print-config", action="store_true", help="print the resolved recipe and stop")
    parser.add_argument(
        "--print-hooks", action="store_true", help="print the hooks in the order in which they run and stop"
    )


def check(args: argparse.Namespace) -> None:
    """Read the recipe and apply its overrides."""
    if args.resume is not None and args.overwrite:
        raise RecipeError(
            "--resume and --overwrite contradict each other: --resume continues the run in the run folder, --overwrite "
            "deletes it. Leave one out."
        )
    read_recipe(args, "smoke" if args.smoke else "recipe")


def run(args: argparse.Namespace) -> int:
    """Train; return the exit code."""
    with InterruptWatch():  # before the import below, because MindSpore starts threads when it is imported
        return int(function_named("srtrain.jobs.run:run")(args))
