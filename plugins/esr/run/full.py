"""``srtrain --plugin esr esr-full SEARCH RECIPE``: train the best networks of a search in full, and compare them."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srtrain.cli import COMMANDS
from srtrain.consent import allowed
from srtrain.device.interrupt import EXIT_INTERRUPTED
from srtrain.errors import CheckpointError, RecipeError, SrtrainError, UserError, counted
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

HEAD = ("candidate", "parameters", "G multi-adds", "benchmark", "PSNR", "SSIM", "protocol")

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
        help="train the N networks with the highest PSNR, those of pareto.json first; default: 1",
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
    full = Full(args.recipe, args.smoke, args.overrides, args.plugin)
    show(args.search, full.train_all(args.search, args.best, args.numbers))
    return 0


def show(search: Path, rows: list[dict[str, Any]]) -> None:
    """Print the scores, and write them beside the other results of the search."""
    print(aligned(HEAD, as_text(rows)))
    table = [dict(zip(HEAD, row, strict=True)) for row in as_text(rows)]
    write_whole(search / "search" / "full.json", json.dumps(table, indent=1))


@dataclass(frozen=True)
class Full:
    """How networks are trained in full.

    Attributes:
        recipe: a file.
        smoke: whether to run its one-minute twin.
        overrides: changes to it.
        plugins: that the command line named.
    """

    recipe: str
    smoke: bool
    overrides: Sequence[str]
    plugins: Sequence[str]

    def load(self) -> Recipe:
        """Return the recipe with its changes."""
        return override(load_recipe(self.recipe, "smoke" if self.smoke else "recipe"), list(self.overrides))

    def train_all(self, search_dir: Path, n_best: int, numbers: Sequence[int] = ()) -> list[dict[str, Any]]:
        """Train candidates of a search; return their scores on the benchmarks of the recipe.

        Raises:
            RecipeError: the search has another scale, or there are no such candidates.
            SrtrainError: a training failed.
        """
        search, recipe = load_recipe(search_dir), self.load()
        if search.scale != recipe.scale:
            raise RecipeError(
                f"the search {str(search_dir)!r} has scale {search.scale}, but the recipe {self.recipe!r} has scale "
                f"{recipe.scale}. Use a recipe with the same scale."
            )
        rows: list[dict[str, Any]] = []
        for candidate in chosen(search_dir, n_best, list(numbers)):
            rows += measured(self.train(search_dir, search, candidate), candidate)
        return rows

    def train(self, search_dir: Path, search: Recipe, candidate: dict[str, Any]) -> Path:
        """Train one candidate, or resume its training, and return its run folder.

        Raises:
            SrtrainError: the training failed; its own output says why.
        """
        folder = Path("runs") / f"{search_dir.resolve().name}_{candidate['number']}"
        words = [
            *("run", self.recipe, *(["--smoke"] if self.smoke else []), *self.overrides),
            *(f"run_dir={folder}", f"model.blocks={tuple(candidate['blocks'])!r}"),
            f"model.n_feats={search.model.args['n_feats']}",
        ]
        run_srtrain(
            f"candidate {candidate['number']}",
            words,
            folder,
            allowed(search.plugins, search_dir, self.plugins),
        )
        return folder


def run_srtrain(what: str, words: Sequence[str], folder: Path, plugins: Sequence[str]) -> None:
    """Start or resume a run in a process of its own.

    Raises:
        KeyboardInterrupt: it was interrupted.
        SrtrainError: it failed.
    """
    words = [*words, *(word for name in plugins for word in ("--plugin", name))]
    words += ["--resume"] if is_recorded(folder) else []
    print(f"{what}: srtrain {shlex.join(words)}", file=sys.stderr)
    code = _run(words)
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    if code == UserError.exit_code:
        raise SystemExit(code)  # the run has said what is wrong
    if code:
        raise SrtrainError(
            f"the run in {str(folder)!r} failed with exit code {code}; see the output above or its run.log. Repeat the "
            f"command to continue."
        )


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
    ranked = [*front, *sorted(known.values(), key=lambda one: -one["objectives"]["psnr"])]
    best = {candidate["number"]: candidate for candidate in ranked}  # the front first
    if not 0 <= n_best <= len(best):
        raise RecipeError(
            f"--best {n_best}: {str(search)!r} has {counted(len(best), 'trained network')}. Give a number from 0 to "
            f"{len(best)}."
        )
    found = dict(list(best.items())[:n_best])
    found |= {number: known[number] for number in others}
    return list(found.values())


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


def measured(folder: Path, candidate: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the last evaluation on each benchmark, with the candidate and its cost.

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
    cost = {name: candidate["objectives"][name] for name in ("parameters", "multi_adds")}
    kept = ("benchmark", "psnr", "ssim", "protocol")
    return [{"number": candidate["number"], **cost, **{k: row[k] for k in kept}} for row in last.values()]


def as_text(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the rows of the table as text."""
    return [
        (
            str(row["number"]),
            f"{row['parameters']:,.0f}",
            f"{row['multi_adds'] / 1e9:.1f}",
            row["benchmark"],
            "n/a" if row["psnr"] is None else f"{row['psnr']:.3f}",
            "n/a" if row["ssim"] is None else f"{row['ssim']:.4f}",
            row["protocol"],
        )
        for row in rows
    ]


@COMMANDS.register("esr-full")
class FullCommand:
    """The command, as the command line looks it up."""

    HELP = HELP
    EXAMPLES = EXAMPLES
    add_arguments = staticmethod(add_arguments)
    run = staticmethod(run)
