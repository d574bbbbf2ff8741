"""``srtrain verify RECIPE --weights FILE``: do these weights reach what the recipe expects?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from srtrain.commands.run import read_recipe
from srtrain.errors import CheckpointError, RecipeError
from srtrain.evaluation.table import aligned

if TYPE_CHECKING:
    from mindspore import nn

    from srtrain.device.backend import Backend
    from srtrain.evaluation.results import EvalResult
    from srtrain.recipe import Benchmark, Recipe

HELP = "compare weights with the scores a recipe expects"
EXAMPLES = """\
examples:
  srtrain verify recipes/edsr_x2.py --weights runs/edsr_x2 data.root=data/DIV2K
  srtrain verify recipes/edsr_f64b5_x2.py --weights EDSR_f64b5_x2.npz data.root=data
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipe, the weights and the tolerance."""
    parser.add_argument("recipe", metavar="RECIPE", help="a .py recipe, or a run folder")
    parser.add_argument(
        "overrides", metavar="key=value", nargs="*", help="changes to the recipe, such as data.root="
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        type=Path,
        required=True,
        help="a run folder, a step_… folder, a file of weights",
    )
    parser.add_argument(
        "--tolerance-db",
        metavar="DB",
        type=float,
        default=0.005,
        help="allowed difference in PSNR; default 0.005",
    )
    parser.add_argument(
        "--tolerance-ssim",
        metavar="X",
        type=float,
        default=0.0002,
        help="allowed difference in SSIM; default 0.0002",
    )
    parser.add_argument("--plugin", action="append", default=[], metavar="NAME", help="plugin; repeatable")
    parser.add_argument("--device", metavar="NAME", help="backend, such as cpu; the same as device=NAME")


def run(args: argparse.Namespace) -> int:
    """Evaluate under the recipe's protocols and compare; exit code 1 outside of the tolerance."""
    _, recipe = read_recipe(args)
    from srtrain.build.check import check_names
    from srtrain.build.parts import build_backend

    check_names(recipe)
    expected = {name: b for name, b in recipe.benchmarks.items() if b is not None and b.psnr is not None}
    if not expected:
        raise RecipeError(
            f"{args.recipe!r} expects no score: give a benchmark one, such as benchmarks.set5.psnr=37.99."
        )
    backend = build_backend(recipe)
    try:
        model = _network(recipe, args.weights)
        results = _evaluate(recipe, model, backend, expected)
    finally:
        backend.close()
    rows = [_compare(args, expected[result.benchmark], result) for result in results]
    if backend.rank == 0:
        head = ("set", "metric", "ours", "expected", "difference", "tolerance", "verdict", "protocol")
        print(aligned(head, [cells for cells_of_set, _ in rows for cells in cells_of_set]))
    return 0 if all(good for _, good in rows) else 1


def _network(recipe: Recipe, path: Path) -> nn.Cell:
    """Return the recipe's network with the weights in it.

    Raises:
        CheckpointError: the weights are of another network, in shapes, scale or arguments.
    """
    from srtrain.build.parts import about, build_model
    from srtrain.weights.read import read_weights
    from srtrain.weights.transfer import load_weights

    model = build_model(recipe)
    weights = read_weights(path.expanduser())
    report = load_weights(model, weights, about(recipe))
    if report.initialised or report.differences:
        wrong = "; ".join([*report.differences, *(f"{name} is not in it" for name in report.initialised[:5])])
        raise CheckpointError(
            f"the weights in {str(path)!r} are not those of this recipe's network: {wrong}."
        )
    return model


def _evaluate(
    recipe: Recipe, model: nn.Cell, backend: Backend, expected: dict[str, Benchmark]
) -> list[EvalResult]:
    from srtrain.build.parts import build_benchmarks
    from srtrain.evaluation.evaluator import Evaluator
    from srtrain.models.upscale import Upscaler

    evaluator = Evaluator(Upscaler(model), backend)
    return [evaluator.run(benchmark) for benchmark in build_benchmarks(recipe) if benchmark.name in expected]


def _compare(
    args: argparse.Namespace, expected: Benchmark, result: EvalResult
) -> tuple[list[tuple[str, ...]], bool]:
    """Return a line for each metric that is expected, and whether all are within the tolerance."""
    lines: list[tuple[str, ...]] = []
    all_good = True
    for metric, ours, wanted, tolerance, digits in (
        ("PSNR", result.psnr, expected.psnr, args.tolerance_db, 3),
        ("SSIM", result.ssim, expected.ssim, args.tolerance_ssim, 4),
    ):
        if wanted is None:
            continue
        good = abs(ours - wanted) <= tolerance
        all_good = all_good and good
        numbers = (
            f"{ours:.{digits}f}",
            f"{wanted:.{digits}f}",
            f"{ours - wanted:+.{digits + 1}f}",
            f"{tolerance:g}",
        )
        verdict = "as expected" if good else "NOT as expected"
        lines.append((result.benchmark, metric, *numbers, verdict, result.protocol))
    return lines, all_good
