"""Train the same recipe in MindSpore and in PyTorch; plot PSNR over the updates and print the final scores.

With Set5, Set14 and T91 in the folder ``data``, these commands give everything in docs/results.md:

    pip install '.[cpu,bench]' && for seed in 1 2; do
        srtrain run recipes/edsr_t91_x2.py seed=$seed run_dir=runs/t91_seed$seed || break; done
    python benchmarks/curves.py runs/t91_seed1 runs/t91_seed2 --plot docs/images/t91_curves.png

Each run is repeated in PyTorch with the recipe in its folder, and scored after the same updates. The scores are
written to ``runs/t91_seed1_pytorch/metrics.jsonl`` and so on; a training that is complete is not repeated. Both
frameworks use srtrain's batches, learning rates and evaluator. The network, initial weights (an independent draw from
the same distribution), loss, gradients and Adam are PyTorch's own.

The last line is JSON. The exit code is 1 if the mean final PSNRs differ by more than ``--tolerance``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtrain.arrays import Float32
from srtrain.build.parts import build_pictures, build_spec
from srtrain.data.loader import Loader
from srtrain.data.sampler import Sampler
from srtrain.device.backend import Backend
from srtrain.device.cores import usable_cores
from srtrain.errors import RecipeError, RunFolderError, UserError, listing
from srtrain.evaluation.evaluator import EvalSet, Evaluator
from srtrain.files import write_whole
from srtrain.metrics import PROTOCOLS
from srtrain.recipe import Recipe, Spec
from srtrain.recipe.load import load_recipe
from srtrain.recipe.record import to_json
from srtrain.recipe.text import differences
from srtrain.trainer.schedules import SCHEDULES

if TYPE_CHECKING:
    from torch_edsr import EDSR

Record = dict[str, Any]
COLOURS = {"MindSpore": "tab:blue", "PyTorch": "tab:orange"}
STYLES = ("-", "--", ":", "-.")


def main() -> int:
    """Repeat the runs in PyTorch, unless that was done before, then compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a finished run folder, one per seed"
    )
    parser.add_argument("--benchmark", default="set5", help="the benchmark to plot and compare")
    parser.add_argument("--plot", type=Path, help="write the plot to this PNG file")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.05,
        metavar="DB",
        help="allowed difference of the means",
    )
    args = parser.parse_args()
    try:
        return compare(args.runs, args.benchmark, args.plot, args.tolerance)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def compare(runs: list[Path], benchmark: str, plot: Path | None, tolerance: float) -> int:
    """Print the final scores and their difference; return the exit code."""
    recipes = [load_recipe(run) for run in runs]
    refuse_unequal(recipes)
    refuse_what_is_not_repeated(recipes[0])
    ours = [finished(run, recipe) for run, recipe in zip(runs, recipes, strict=True)]
    curve(ours[0], benchmark)  # refuse a misspelt name before training for hours
    records = {
        "MindSpore": ours,
        "PyTorch": [repeat(*each) for each in zip(runs, recipes, ours, strict=True)],
    }
    seeds = [recipe.seed for recipe in recipes]
    for name in sorted({r["benchmark"] for r in ours[0] if "benchmark" in r}):
        curves = {framework: [curve(r, name) for r in each] for framework, each in records.items()}
        print_ends(name, seeds, curves)
    curves = {framework: [curve(r, benchmark) for r in each] for framework, each in records.items()}
    if plot is not None:
        draw(plot, curves, seeds, recipes[0], benchmark)
    result = ends(curves)
    agree = abs(result["difference_db"]) <= tolerance
    print(
        f"{benchmark}: MindSpore's mean minus PyTorch's is {result['difference_db']:+.3f} dB, "
        f"{'within' if agree else 'BEYOND'} the tolerance of {tolerance} dB"
    )
    print(json.dumps({"benchmark": benchmark, "seeds": seeds, **result}))
    return 0 if agree else 1


@dataclass(frozen=True)
class Curve:
    """Scores of one run on one benchmark over the number of updates; PSNR in dB."""

    steps: list[int]
    psnr: list[float]
    ssim: list[float]
    bicubic_psnr: float
    protocol: str


def curve(records: list[Record], benchmark: str) -> Curve:
    """Return the evaluations of one benchmark, without self-ensemble, from the lines of a metrics.jsonl.

    Raises:
        RecipeError: the run never evaluated this benchmark.
    """
    plain = [r for r in records if "benchmark" in r and r["method"] == "plain"]
    found = [r for r in plain if r["benchmark"] == benchmark]
    if not found:
        there = listing({r["benchmark"] for r in plain})
        raise RecipeError(f"there is no benchmark {benchmark!r} in these runs. They evaluated: {there}.")
    return Curve(
        steps=[r["step"] for r in found],
        psnr=[r["psnr"] for r in found],
        ssim=[r["ssim"] for r in found],
        bicubic_psnr=found[-1]["bicubic_psnr"],
        protocol=found[-1]["protocol"],
    )


def finished(run: Path, recipe: Recipe) -> list[Record]:
    """Return the lines of a run's metrics.jsonl.

    Raises:
        RunFolderError: the last step of the run was not evaluated.
    """
    records = read(run / "metrics.jsonl")
    last = max((r["step"] for r in records if "benchmark" in r), default=0)
    if recipe.train.steps != last:
        raise RunFolderError(
            f"the last evaluation in {str(run)!r} is of step {last}, and its recipe has train.steps = "
            f"{recipe.train.steps!r}. Give runs that are finished and whose length is in steps; "
            f"'srtrain run {run} --resume' goes on with one."
        )
    return records


def read(file: Path) -> list[Record]:
    """Return the objects of a JSON-lines file; an empty list if the file does not exist."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def refuse_unequal(recipes: list[Recipe]) -> None:
    """Refuse runs that differ in more than the seed: their mean would be meaningless.

    Raises:
        RecipeError: names the settings that differ, or a seed that occurs twice.
    """
    for recipe in recipes[1:]:
        changed = differences(recipes[0], recipe)
        different = [key for key in changed if key not in ("seed", "name", "run_dir")]
        if different:
            raise RecipeError(
                f"the runs differ in {', '.join(different)}. Give runs that differ only in their seed."
            )
    seeds = [recipe.seed for recipe in recipes]
    if len(set(seeds)) < len(seeds):
        raise RecipeError(f"the runs have the seeds {seeds}. Give one run per seed.")


def refuse_what_is_not_repeated(recipe: Recipe) -> None:
    """Refuse a recipe that this benchmark cannot train in the same way in PyTorch.

    Raises:
        RecipeError: names each key of the recipe that is not supported.
    """
    optimizer, model = recipe.optim.optimizer, recipe.model
    repeated = {
        "model": model.name == "edsr" and set(model.args) <= {"n_resblocks", "n_feats", "res_scale"},
        "loss": recipe.loss == Spec("l1"),
        "optim.optimizer": optimizer.name == "adam" and set(optimizer.args) <= {"beta1", "beta2"},
        "optim.clip_norm": recipe.optim.clip_norm is None,
        "optim.skip_above": recipe.optim.skip_above is None,
        "init": recipe.init == Spec("kaiming_uniform"),
        "init_from": not recipe.init_from,
        "precision": recipe.precision == Spec("float32"),
        "data.degrade": not recipe.data.degrade,
    }
    wrong = [key for key, right in repeated.items() if not right]
    if wrong:
        raise RecipeError(
            f"the recipe {recipe.name!r} sets {', '.join(wrong)}, which this benchmark does not support in PyTorch. It "
            "supports edsr with n_resblocks, n_feats and res_scale, kaiming_uniform, l1, and adam with beta1 and beta2."
        )


def repeat(run: Path, recipe: Recipe, mindspore: list[Record]) -> list[Record]:
    """Return the metrics of the same training in PyTorch. Train now if it was not done before."""
    folder = run.with_name(f"{run.name}_pytorch")
    if (folder / "recipe.json").is_file() and load_recipe(folder) == recipe:
        # A training that did not finish is repeated.
        with suppress(RunFolderError):
            return finished(folder, recipe)
    folder.mkdir(exist_ok=True)
    write_whole(folder / "recipe.json", to_json(recipe))
    file = folder / "metrics.jsonl"
    file.unlink(missing_ok=True)
    started = time.perf_counter()
    for record in train(recipe, {r["step"] for r in mindspore if "benchmark" in r}):
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record) + "\n")
        print(f"{folder.name} {time.perf_counter() - started:6.0f} s  {record}", file=sys.stderr, flush=True)
    return read(file)


def train(recipe: Recipe, evaluate_at: set[int]) -> Iterator[Record]:
    """Train in PyTorch; at the given steps, yield what srtrain writes into metrics.jsonl."""
    # The package limits MindSpore's oneDNN to AVX2. Do not limit PyTorch's.
    os.environ.pop("ONEDNN_MAX_CPU_ISA", None)
    import torch
    from torch.nn import functional
    from torch_edsr import EDSR

    torch.set_num_threads(recipe.train.threads or usable_cores())
    torch.manual_seed(recipe.seed)
    model = EDSR(recipe.scale, **recipe.model.args)
    betas = {"beta1": 0.9, "beta2": 0.999, **recipe.optim.optimizer.args}
    optimizer = torch.optim.Adam(model.parameters(), recipe.optim.lr, (betas["beta1"], betas["beta2"]))
    loader, per_epoch = build_loader(recipe)
    schedule = build_spec(SCHEDULES, recipe.optim.schedule, per_epoch, {"max_steps": recipe.train.steps})
    benchmarks = build_benchmarks(recipe)
    losses: list[float] = []
    with loader:
        loader.start(0)
        for step in range(recipe.train.steps or 0):
            batch = loader.next()
            lq, gt = (torch.from_numpy(array).float() for array in (batch.lq, batch.gt))
            optimizer.param_groups[0]["lr"] = recipe.optim.lr * schedule(step)
            optimizer.zero_grad()
            loss = functional.l1_loss(model(lq), gt)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if step + 1 in evaluate_at:
                yield {"step": step + 1, "loss": statistics.fmean(losses)}
                losses.clear()
                yield from scores(model, benchmarks, step + 1)


def build_loader(recipe: Recipe) -> tuple[Loader, int]:
    """Return the batches of a recipe and the number of updates per epoch."""
    data = recipe.data
    pictures = build_pictures(recipe, "data.train", data.train, data.cache)
    sampler = Sampler(len(pictures), data.batch_size, recipe.seed)
    loader = Loader(pictures, sampler, data.gt_patch_px, data.augment, data.workers)
    return loader, recipe.train.steps_per_epoch or max(1, len(pictures) // data.batch_size)


def build_benchmarks(recipe: Recipe) -> list[EvalSet]:
    """Return the benchmarks of a recipe."""
    return [
        EvalSet(
            name,
            build_pictures(recipe, f"benchmarks.{name}.data", benchmark.data, cache="none"),
            recipe.scale,
            PROTOCOLS.build(benchmark.protocol),
        )
        for name, benchmark in recipe.benchmarks.items()
        if benchmark is not None
    ]


def scores(model: EDSR, benchmarks: list[EvalSet], step: int) -> Iterator[Record]:
    """Score a PyTorch network with srtrain's evaluator."""
    import torch

    def upscale(lq: Float32) -> Float32:
        with torch.inference_mode():
            output: Float32 = model(torch.from_numpy(lq)).numpy()
        return output

    for benchmark in benchmarks:
        result = Evaluator(upscale, Backend()).run(benchmark)
        kept = ("benchmark", "method", "protocol", "n_pictures", "psnr", "ssim", "bicubic_psnr", "seconds")
        yield {"step": step, **{name: getattr(result, name) for name in kept}}


def ends(curves: dict[str, list[Curve]]) -> dict[str, Any]:
    """Return the final PSNRs in dB, the difference of their means, and the ratio of the gains over bicubic."""
    last = {framework: [c.psnr[-1] for c in each] for framework, each in curves.items()}
    ours, theirs = (statistics.fmean(last[framework]) for framework in ("MindSpore", "PyTorch"))
    bicubic = curves["MindSpore"][0].bicubic_psnr
    return {
        "mindspore_db": [round(psnr, 3) for psnr in last["MindSpore"]],
        "pytorch_db": [round(psnr, 3) for psnr in last["PyTorch"]],
        "bicubic_db": round(bicubic, 3),
        "difference_db": round(ours - theirs, 4),
        "ratio": round(ours / theirs, 5),
        "ratio_of_gains": round((ours - bicubic) / (theirs - bicubic), 4),
    }


def print_ends(benchmark: str, seeds: list[int], curves: dict[str, list[Curve]]) -> None:
    """Print a table of the last evaluations of one benchmark."""
    first = curves["MindSpore"][0]
    print(f"\n{benchmark} after {first.steps[-1]} updates, PSNR in dB and SSIM, {first.protocol}")
    for framework, each in curves.items():
        cells = [
            f"seed {seed}: {c.psnr[-1]:.3f} / {c.ssim[-1]:.4f}" for seed, c in zip(seeds, each, strict=True)
        ]
        mean = f"{statistics.fmean(c.psnr[-1] for c in each):.3f} / {statistics.fmean(c.ssim[-1] for c in each):.4f}"
        print(f"  {framework:<10} {'   '.join(cells)}   mean: {mean}")
    print(f"  {'bicubic':<10} {first.bicubic_psnr:.3f}")


def draw(
    file: Path, curves: dict[str, list[Curve]], seeds: list[int], recipe: Recipe, benchmark: str
) -> None:
    """Plot the curves, and beside them the last third enlarged, to show hundredths of a dB."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, (whole, end) = pyplot.subplots(1, 2, figsize=(11, 4.8), width_ratios=(3, 2), layout="constrained")
    for framework, each in curves.items():
        for style, seed, c in zip(itertools.cycle(STYLES), seeds, each, strict=False):
            for axes in (whole, end):
                axes.plot(c.steps, c.psnr, style, color=COLOURS[framework], label=f"{framework}, seed {seed}")
    first = curves["MindSpore"][0]
    whole.axhline(first.bicubic_psnr, color="grey", label=f"bicubic, {first.bicubic_psnr:.2f} dB")
    whole.set_ylim(bottom=whole.get_ylim()[0] - 0.1)  # keep the line of bicubic away from the edge
    whole.legend(loc="center right")
    whole.set_ylabel(f"PSNR on {benchmark} in dB")
    n_last = max(2, len(first.steps) // 3)
    lowest, highest = (
        f(p for each in curves.values() for c in each for p in c.psnr[-n_last:]) for f in (min, max)
    )
    end.set_xlim(first.steps[-n_last], first.steps[-1])
    end.set_ylim(lowest - 0.02, highest + 0.02)
    end.set_title("the end, enlarged")
    for axes in (whole, end):
        axes.set_xlabel("updates")
        axes.grid(alpha=0.3)
    network = ", ".join(f"{name} {value}" for name, value in recipe.model.args.items())
    figure.suptitle(f"{recipe.name}: {recipe.model.name} x{recipe.scale}, {network}\n{first.protocol}")
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    sys.exit(main())
