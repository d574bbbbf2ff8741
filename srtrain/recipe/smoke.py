"""The smoke twin of a recipe: the same kinds of parts, small enough for one minute on a CPU, and required to learn."""

from __future__ import annotations

import dataclasses
from typing import Any

from srtrain.recipe.schema import Benchmark, Data, Epochs, Recipe, Spec, Train

N_STEPS = 48


def twin(recipe: Recipe, **model_args: Any) -> Recipe:
    """Return the smoke twin of a recipe; a recipe file returns it from ``smoke()``.

    The twin has the recipe's model, loss, optimizer, kind of schedule, precision, degradation and starting point. The
    network is made small by ``model_args``, the pictures are those of the package, and periods shrink in proportion to
    the length of the run. The run fails if its loss does not fall or its PSNR does not rise.

    Args:
        recipe: the full-size recipe.
        model_args: arguments that replace those of the recipe's model.
    """
    benchmarks = _benchmarks(recipe)
    steps = N_STEPS * len(benchmarks)  # of several scales, each gets a share of the batches
    shrink = steps / _length(recipe)
    optim = recipe.optim
    return dataclasses.replace(
        recipe,
        name=f"{recipe.name}_smoke",
        model=Spec(recipe.model.name, **{**recipe.model.args, **model_args}),
        data=Data(
            train=Spec("embedded"),
            gt_patch_px=24 * recipe.scale,
            batch_size=8,
            augment=recipe.data.augment,
            hflip=recipe.data.hflip,
            vflip=recipe.data.vflip,
            rot90=recipe.data.rot90,
            degrade=recipe.data.degrade,
        ),
        train=Train(steps=steps, log_every=steps // 4, mode=recipe.train.mode, threads=recipe.train.threads),
        # A small network tolerates a higher learning rate, and needs it to learn in so few steps.
        optim=dataclasses.replace(
            optim, lr=max(optim.lr, 2e-3), schedule=_shrunk(optim.schedule, recipe, shrink)
        ),
        init_from=f"{recipe.init_from}_smoke" if recipe.init_from else "",
        device=Spec("cpu"),
        benchmarks=benchmarks,
        hooks={name: _hook(spec, steps) for name, spec in recipe.hooks.items()}
        | {"require_learning": Spec("require_learning")},
    )


def _benchmarks(recipe: Recipe) -> dict[str, Benchmark | None]:
    """Return the picture that the twin is scored on: once, or at each scale that the recipe's benchmarks name."""
    wanted = [benchmark for benchmark in recipe.benchmarks.values() if benchmark is not None]
    protocol = wanted[0].protocol if wanted else "paper_y"
    degrade = wanted[0].degrade if wanted else ()
    named = sorted({benchmark.scale for benchmark in wanted if benchmark.scale is not None})
    scales: list[int | None] = [*named] or [None]
    return {
        f"chelsea_x{scale}" if scale else "chelsea": Benchmark(
            Spec("embedded", names=("chelsea",)), protocol, scale=scale, degrade=degrade
        )
        for scale in scales
    }


def _length(recipe: Recipe) -> float:
    """Return the number of updates; an epoch counts as one update if the recipe does not say its length."""
    train = recipe.train
    return train.steps or (train.epochs or 0) * (train.steps_per_epoch or 1)


def _shrunk(schedule: Spec, recipe: Recipe, shrink: float) -> Spec:
    """Return a schedule with its steps and epochs scaled to the shorter run."""

    def shrunk(value: Any) -> Any:
        if isinstance(value, Epochs):
            return max(1, round(value.n * (recipe.train.steps_per_epoch or 1) * shrink))
        if isinstance(value, tuple):
            return tuple(shrunk(item) for item in value)
        return max(1, round(value * shrink)) if isinstance(value, int) and value > 0 else value

    return Spec(schedule.name, **{name: shrunk(value) for name, value in schedule.args.items()})


def _hook(spec: Spec | None, steps: int) -> Spec | None:
    """Return a hook with its period changed: it acts four times in the twin, the slow self-ensemble once.

    ``require_gain`` is removed, because so short a run cannot exceed bicubic.
    """
    if spec is not None and spec.name == "require_gain":
        return None
    if spec is None or "every" not in spec.args:
        return spec
    slow = spec.name == "self_ensemble_evaluate" or spec.args.get("self_ensemble")
    every = steps // 2 if slow and spec.name == "evaluate" else steps if slow else steps // 4
    return Spec(spec.name, **{**spec.args, "every": every})
