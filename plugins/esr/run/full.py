"""``srtrain --plugin esr esr-full SEARCH RECIPE``: train the best networks of a search in full, and compare them."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from srtrain.cli import COMMANDS
from srtrain.consent import allowed
from srtrain.device.interrupt import EXIT_INTERRUPTED
from srtrain.errors import CheckpointError, RecipeError, SrtrainError
from srtrain.evaluation.table import aligned
from srtrain.files import python_program, write_whole
from srtrain.files.json_file import Whole, checked, fault_of, read_json, read_text, reason_of
from srtrain.recipe import Recipe
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import override
from srtrain.trainer.owned import is_recorded

_CANDIDATE = {"number": Whole(), "blocks": [str], "reason": str}
_TRAINED = {**_CANDIDATE, "objectives": {"parameters": float, "multi_adds": float, "psnr": float}}
_ROW = {"benchmark": str, "method": str, "psnr": (float, None), "ssim": (float, None), "protocol": str}

HELP = "train the best networks of a search in full, and compare them"
EXAMPLES = """\
examples:
  srtrain --plugin esr esr-full runs/esr_x2_search recipes/esr_x2_full.py data.root=DIV2K
  srtrain --plugin esr esr-full runs/esr_x2_search recipes/esr_x2_full.py --best 3 --numbers 41,77

Each network gets its own run folder, runs/SEARCH_NUMBER. If the command is repeated, it skips finished trainings and
resumes the others.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the search, the recipe, and the selection of networks."""
    parser.add_argument("search", metavar="SEARCH", type=Path, help="the run folder of a search")
    parser.add_argument("recipe", metavar="RECIPE", help="recipe of the full training; its model is replaced")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="changes to that recipe")
    parser.add_argument(
        "--best",
        type=int,
        default=1,
        metavar="N",
        help="train the N networks of pareto.json with the highest PSNR; default: 1",
    )
    parser.add_argument(
        "--numbers", type=numbers, default=[], metavar="K,L", help="also train these candidates"
    )
    parser.add_argument("--smoke", action="store_true", help="run the recipe's one-minute twin")


def numbers(text: str) -> list[int]:
    """Return the numbers of a text such as ``41,77``."""
    return [int(number) for number in text.split(",")]


def run(args: argparse.Namespace) -> int:
    """Train the networks one after the other, each in its own process, then print their scores."""
    search = load_recipe(args.search)
    recipe = override(load_recipe(args.recipe, "smoke" if args.smoke else "recipe"), args.overrides)
    if search.scale != recipe.scale:
        raise RecipeError(
            f"the search {str(args.search)!r} has scale {search.scale}, but the recipe {args.recipe!r} has scale "
            f"{recipe.scale}. Use a recipe with the same scale."
        )
    rows = []
    for candidate in chosen(args.search, args.best, args.numbers):
        folder = train(args, search, recipe, candidate)
        rows += results(folder, candidate)
    head = ("candidate", "parameters", "G multi-adds", "benchmark", "PSNR", "SSIM", "protocol")
    print(aligned(head, rows))
    write_whole(
        args.search / "search" / "full.json",
        json.dumps([dict(zip(head, r, strict=True)) for r in rows], indent=1),
    )
    return 0


def chosen(search: Path, n_best: int, others: list[int]) -> list[dict[str, Any]]:
    """Return the candidates to train.

    Raises:
        CheckpointError: the search has no results yet.
        RecipeError: there is no candidate of that number, or it failed.
    """
    files = [search / "search" / f"{name}.json" for name in ("pareto", "history")]
    if missing := [file for file in files if not file.exists()]:
        raise CheckpointError(
            f"{str(search)!r} has no results of a search (there is no {str(missing[0])!r}). Give the run folder of a "
            f"search that has finished at least one generation."
        )
    remedy = (
        "Repeat the search with --resume: it writes its results again from the outcomes that it recorded."
    )
    front = read_json(files[0], [_TRAINED], remedy=remedy)
    everybody = read_json(files[1], [_CANDIDATE], remedy=remedy)
    known = {candidate["number"]: candidate for candidate in everybody if not fault_of(candidate, _TRAINED)}
    if unknown := [number for number in others if number not in known]:
        raise RecipeError(
            f"--numbers {unknown}: {str(search)!r} has no such candidate, or the candidate failed."
        )
    found = {candidate["number"]: candidate for candidate in front[:n_best]}
    found |= {number: known[number] for number in others}
    return list(found.values())


def train(args: argparse.Namespace, search: Recipe, recipe: Recipe, candidate: dict[str, Any]) -> Path:
    """Train one candidate, or resume its training, and return its run folder.

    Raises:
        SrtrainError: the training failed; its own output says why.
    """
    folder = Path("runs") / f"{args.search.resolve().name}_{candidate['number']}"
    search_plugins = allowed(search.plugins, args.search, args.plugin)
    words = [
        *("run", args.recipe, *(["--smoke"] if args.smoke else []), *args.overrides),
        *(f"run_dir={folder}", f"model.blocks={tuple(candidate['blocks'])!r}"),
        f"model.n_feats={search.model.args['n_feats']}",
        *(word for name in search_plugins for word in ("--plugin", name)),
        *(["--resume"] if is_recorded(folder) else []),
    ]
    print(f"candidate {candidate['number']}: srtrain {shlex.join(words)}", file=sys.stderr)
    code = _run(words)
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise SrtrainError(
            f"the training in {str(folder)!r} failed with exit code {code}; see the output above or its run.log."
        )
    return folder


def _run(words: list[str]) -> int:
    """Run srtrain in a process of its own, which a Ctrl-C reaches once; return its exit code."""
    process = subprocess.Popen([*python_program("srtrain.cli"), *words], start_new_session=True)
    before = signal.signal(signal.SIGINT, lambda number, frame: process.send_signal(number))
    try:
        while process.poll() is None:  # ``wait`` would not let the handler run
            time.sleep(0.2)
    finally:
        signal.signal(signal.SIGINT, before)
    return process.returncode


def results(folder: Path, candidate: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows of the table: the last evaluation on each benchmark.

    Raises:
        CheckpointError: the file of the run's metrics is missing or damaged.
    """
    file = folder / "metrics.jsonl"
    try:
        rows = [checked(line, _ROW) for line in read_text(file).splitlines() if '"benchmark"' in line]
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{str(file)!r} is damaged: {reason_of(error)}. Evaluate the run instead: srtrain evaluate {folder}."
        ) from error
    last = {row["benchmark"]: row for row in rows if row["method"] == "plain"}
    cost = candidate["objectives"]
    return [
        (
            str(candidate["number"]),
            f"{cost['parameters']:,.0f}",
            f"{cost['multi_adds'] / 1e9:.1f}",
            name,
            "n/a" if row["psnr"] is None else f"{row['psnr']:.3f}",
            "n/a" if row["ssim"] is None else f"{row['ssim']:.4f}",
            row["protocol"],
        )
        for name, row in last.items()
    ]


@COMMANDS.register("esr-full")
class FullCommand:
    """The command, as the command line looks it up."""

    HELP = HELP
    EXAMPLES = EXAMPLES
    add_arguments = staticmethod(add_arguments)
    run = staticmethod(run)
