"""``srtrain --plugin esr esr-all SEARCH FULL``: search, full training and benchmarks in one command that can resume."""

from __future__ import annotations

import argparse
from typing import Any

from srtrain.cli import COMMANDS
from srtrain.errors import RecipeError
from srtrain.recipe import Recipe
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import override

from .full import Full, run_srtrain, show

HELP = "search, train the best networks in full, and score them, in one command"
EXAMPLES = """\
examples:
  srtrain --plugin esr esr-all recipes/esr_x2_search.py recipes/esr_x2_full.py data.root=data/DIV2K
  srtrain --plugin esr esr-all recipes/esr_x2_search.py recipes/esr_x2_full.py --smoke
  srtrain --plugin esr esr-all recipes/esr_x2_search.py recipes/esr_x2_full.py --full train.epochs=3000 --best 2

If the command is stopped or killed, repeat it: finished parts are skipped, and the part that was running resumes.
The last line is "Best values: …": flops are G multi-adds for an output of 1280 x 720, params are thousands, and PSNR is
that on the first benchmark of FULL.
"""


@COMMANDS.register("esr-all")
class PipelineCommand:
    """The command, as the command line looks it up."""

    HELP = HELP
    EXAMPLES = EXAMPLES

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add the two recipes, the changes to them, and the selection of networks."""
        parser.add_argument("search_recipe", metavar="SEARCH", help="recipe of the search")
        parser.add_argument(
            "recipe", metavar="FULL", help="recipe of the full training; its model is replaced"
        )
        parser.add_argument("overrides", metavar="key=value", nargs="*", help="changes to both recipes")
        for option, recipe in (("--search", "SEARCH"), ("--full", "FULL")):
            parser.add_argument(
                option,
                metavar="key=value",
                action="append",
                default=[],
                help=f"a change to {recipe} alone; repeatable",
            )
        parser.add_argument(
            "--best", type=int, default=1, metavar="N", help="train the N best networks in full (default: 1)"
        )
        parser.add_argument("--smoke", action="store_true", help="run the one-minute twins of both recipes")

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Run what is not finished yet, then print the scores."""
        if args.best < 1:
            raise RecipeError(f"--best {args.best} is not 1 or more.")
        function, changes = "smoke" if args.smoke else "recipe", [*args.overrides, *args.search]
        search = override(load_recipe(args.search_recipe, function), changes)
        full = Full(args.recipe, args.smoke, [*args.overrides, *args.full], args.plugin)
        recipe = full.load()  # a mistake in it shall not wait until the search has ended
        folder = search.folder
        words = [
            "run",
            args.search_recipe,
            *(["--smoke"] if args.smoke else []),
            *changes,
            f"run_dir={folder}",
        ]
        run_srtrain("search", words, folder, args.plugin)
        rows = full.train_all(folder, args.best)
        show(folder, rows)
        print(f"Best values: {best_values(rows, recipe)}")
        return 0


def best_values(rows: list[dict[str, Any]], recipe: Recipe) -> list[dict[str, Any]]:
    """Return the network with the highest PSNR on the first benchmark, in the form of the authors' program."""
    first = next((name for name, benchmark in recipe.benchmarks.items() if benchmark is not None), "")
    scored = [row for row in rows if row["benchmark"] == first and row["psnr"] is not None]
    if not scored:
        return []
    best = max(scored, key=lambda row: float(row["psnr"]))
    performance = {
        "flops": round(best["multi_adds"] / 1e9, 3),
        "params": round(best["parameters"] / 1e3, 3),
        "PSNR": best["psnr"],
    }
    return [{"worker_id": best["number"], "performance": performance}]
