"""Compare weights with the scores that a recipe expects."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from mindspore import nn

from srtrain.build.check import check_run
from srtrain.build.kernels import upscaler
from srtrain.build.parts import about, build_backend, build_benchmarks, build_model, read_weights_for
from srtrain.errors import CheckpointError, DataError
from srtrain.evaluation.evaluator import EvalSet, Evaluator
from srtrain.evaluation.results import EvalResult, shown
from srtrain.evaluation.table import aligned
from srtrain.metrics.published import SELF_ENSEMBLE
from srtrain.models.ensemble import SelfEnsemble
from srtrain.models.upscale import upscalers
from srtrain.recipe import Benchmark, Recipe
from srtrain.weights.transfer import load_weights

HEAD = ("set", "method", "metric", "ours", "expected", "difference", "tolerance", "verdict", "protocol")


class Tolerance(NamedTuple):
    """Largest allowed differences."""

    psnr_db: float
    ssim: float


def run(args: argparse.Namespace) -> int:
    """Evaluate under the recipe's protocols and compare; the exit code is 1 outside of the tolerance."""
    recipe = dataclasses.replace(args.resolved, plugins=tuple(args.plugin))
    check_run(recipe, args.original, Path(args.recipe))
    expected = {name: b for name, b in recipe.benchmarks.items() if b is not None and b.expects}
    backend = build_backend(recipe)
    try:
        network = _network(recipe, args.weights)
        evaluator = Evaluator(upscaler(network, backend), backend, at_scale=upscalers(network))
        sets = _sets(recipe, expected)  # all of them, before the first one takes its time
        results = [result for one in sets for result in _results(evaluator, one, expected[one.name])]
    finally:
        backend.close()
    tolerance = Tolerance(args.tolerance_db, args.tolerance_ssim)
    rows = [_compare(tolerance, expected[result.benchmark], result) for result in results]
    if backend.rank == 0:
        print(aligned(HEAD, [cells for cells_of_set, _ in rows for cells in cells_of_set]))
        for result in results:
            if result.left_out:
                print(f"note: {result.benchmark}: {result.left_out}")
    return 0 if all(good for _, good in rows) else 1


def _sets(recipe: Recipe, names: Collection[str]) -> list[EvalSet]:
    """Return the sets to score.

    Raises:
        DataError: the pictures of a set are missing; the message says how to leave it out.
    """
    found = []
    for name in names:
        try:
            found += build_benchmarks(recipe, [name])
        except DataError as error:
            raise DataError(f"{error} To leave this set out, add benchmarks.{name}=None.") from error
    return found


def _results(evaluator: Evaluator, one: EvalSet, expected: Benchmark) -> list[EvalResult]:
    """Score a set with each method that the recipe expects a score of."""
    found = []
    if expected.psnr is not None or expected.ssim is not None:
        found.append(evaluator.run(one))
    if expected.ensemble_psnr is not None or expected.ensemble_ssim is not None:
        network = evaluator.network(one.scale)
        found.append(evaluator.run(one, SELF_ENSEMBLE, SelfEnsemble(network)))
    return found


def _network(recipe: Recipe, path: Path) -> nn.Cell:
    """Return the recipe's network with the weights in it.

    Raises:
        CheckpointError: the weights belong to another network: shapes, scale or arguments differ.
    """
    model = build_model(recipe)
    weights = read_weights_for(recipe, path)
    report = load_weights(model, weights, about(recipe))
    if report.initialised or report.differences:
        missing = [f"{name} is missing from the file" for name in report.initialised[:5]]
        raise CheckpointError(
            f"the weights in {str(path)!r} are not those of this recipe's network: "
            f"{'; '.join([*report.differences, *missing])}."
        )
    return model


def _compare(
    tolerance: Tolerance, expected: Benchmark, result: EvalResult
) -> tuple[list[tuple[str, ...]], bool]:
    """Return a line for each metric that is expected, and whether all are within the tolerance."""
    lines: list[tuple[str, ...]] = []
    all_good = True
    plain, ensemble = (expected.psnr, expected.ssim), (expected.ensemble_psnr, expected.ensemble_ssim)
    psnr, ssim = ensemble if result.method == SELF_ENSEMBLE else plain
    for metric, ours, wanted, allowed, digits in (
        ("PSNR", result.psnr, psnr, tolerance.psnr_db, 3),
        ("SSIM", result.ssim, ssim, tolerance.ssim, 4),
    ):
        if wanted is None:
            continue
        good = abs(ours - wanted) <= allowed
        all_good = all_good and good
        numbers = (
            shown(ours, f".{digits}f"),
            f"{wanted:.{digits}f}",
            shown(ours - wanted, f"+.{digits + 1}f"),
            f"{allowed:g}",
        )
        verdict = "as expected" if good else "NOT as expected"
        lines.append((result.benchmark, result.method, metric, *numbers, verdict, result.protocol))
    return lines, all_good
