"""Check every name and argument of a recipe against the registries, without building anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from srtrain.build.parts import build_spec, in_steps, trained_scales, wanted_benchmarks
from srtrain.data import DATASETS, DEGRADATIONS
from srtrain.device import BACKENDS, PRECISIONS
from srtrain.errors import RecipeError, UserError, counted, did_you_mean, listing
from srtrain.hooks import HOOKS
from srtrain.metrics import PROTOCOLS
from srtrain.models import INITIALISERS, MODELS
from srtrain.recipe import Epochs, Recipe, Spec
from srtrain.recipe.check import check_recipe, hints_of, type_mistake
from srtrain.registry import Registry, check_arguments
from srtrain.trainer.hook import Hook, plan
from srtrain.trainer.losses import LOSSES
from srtrain.trainer.optim import check_optimizer
from srtrain.trainer.schedules import SCHEDULES

OFFERED = (
    "scale",  # of the recipe: models, data sets, hooks
    "root",  # data.root: data sets
    "max_steps",  # length of the run in updates: schedules, hooks
    "seed",  # of the recipe: hooks, as all below
    "schedule",  # optim.schedule, built
    "base_lr",  # optim.lr
    "benchmarks",  # list of EvalSet
    "evaluator",  # scores them with the network of the run
    "recipe_text",  # the recipe as flat lines
    "new_trainer",  # a TrainerFactory
)
"""What a run offers. A registered class or function gets one of these only if it declares it: ``from_run=(…,)``."""

NAMED_BY = {
    "model": MODELS,
    "data.train": DATASETS,
    "data.degrade": DEGRADATIONS,
    "optim.schedule": SCHEDULES,
    "loss": LOSSES,
    "init": INITIALISERS,
    "precision": PRECISIONS,
    "device": BACKENDS,
    "benchmarks.NAME.data": DATASETS,
    "benchmarks.NAME.degrade": DEGRADATIONS,
    "benchmarks.NAME.protocol": PROTOCOLS,
    "hooks": HOOKS,
}
"""The registry of the names that stand under a key."""


def check_names(recipe: Recipe) -> None:
    """Check every name and every argument of a recipe without building anything.

    Raises:
        RecipeError: lists all mistakes, one per line.
    """
    check_recipe(recipe)
    mistakes = []
    for key, spec in specs_of(recipe):
        try:
            _check_spec(key, registry_of(key), spec)
        except UserError as error:
            mistakes.append(f"{key}: {error}")
    for name, benchmark in wanted_benchmarks(recipe):
        try:
            PROTOCOLS.get(benchmark.protocol)
        except UserError as error:
            mistakes.append(f"benchmarks.{name}.protocol: {error}")
    try:
        check_optimizer(recipe.optim.optimizer.name, recipe.optim.optimizer.args)
    except UserError as error:
        mistakes.append(f"optim.optimizer: {error}")
    if mistakes:
        raise RecipeError("\n".join(mistakes))
    _check_scales(recipe)
    planned_hooks(recipe)


def check_run(recipe: Recipe, original: Recipe, source: Path) -> None:
    """Check a recipe as `check_names` does; a mistake in what a run recorded is told with the file that holds it.

    Args:
        recipe: with the changes of the command line.
        original: as its file has it.
        source: a ``.py`` recipe, a run folder, or the ``recipe.json`` in it.
    """
    try:
        check_names(recipe)
    except UserError:
        if source.suffix != ".py":
            record = source / "recipe.json" if source.is_dir() else source
            try:
                check_names(original)
            except UserError as error:
                raise RecipeError(
                    f"{str(record)!r} is damaged, or from another version of srtrain: {error}"
                ) from error
        raise


def planned_hooks(recipe: Recipe) -> list[Hook]:
    """Return the hooks of a recipe in the order in which they run, without data or a model.

    Raises:
        UserError: a hook refuses its arguments.
        HookError: a hook breaks the contract of hooks.
    """
    nothing = dict.fromkeys(OFFERED)
    return plan([build_spec(HOOKS, spec, 1, nothing) for spec in recipe.hooks.values() if spec is not None])


def check_batch_size(recipe: Recipe, world_size: int) -> None:
    """Check that the ranks can share a batch and accumulate it in equal parts.

    Raises:
        RecipeError: they cannot.
    """
    size, parts = recipe.data.batch_size, recipe.train.accumulate
    if size % (parts * world_size):
        raise RecipeError(
            f"data.batch_size = {size} cannot be divided into train.accumulate = {parts} equal parts on "
            f"{counted(world_size, 'rank')}. Use a multiple of {parts * world_size}."
        )


def _check_scales(recipe: Recipe) -> None:
    """Check that the network has every scale that the recipe names.

    Raises:
        RecipeError: lists all mistakes, one per line.
    """
    scales = trained_scales(recipe)
    named = {"scale": recipe.scale} | {
        f"benchmarks.{name}.scale": benchmark.scale
        for name, benchmark in wanted_benchmarks(recipe)
        if benchmark.scale is not None
    }
    mistakes = [
        f"{key} = {scale!r}, but the model {recipe.model.name!r} works at {listing([f'x{one}' for one in scales])}."
        for key, scale in named.items()
        if scale not in scales
    ]
    if len(scales) > 1 and recipe.train.sink_steps > 1:
        mistakes.append(
            f"train.sink_steps = {recipe.train.sink_steps!r}: the queue on the device takes batches of one shape, but "
            f"those of {recipe.model.name!r} have a shape for each scale. Use train.sink_steps=1."
        )
    if len(scales) > 1 and recipe.data.gt_patch_px % recipe.scale:
        mistakes.append(
            f"data.gt_patch_px = {recipe.data.gt_patch_px!r} is not a multiple of scale = {recipe.scale!r}."
        )
    if mistakes:
        raise RecipeError("\n".join(mistakes))


def registry_of(key: str) -> Registry:
    """Return the registry of the names under a key, such as ``data.degrade[0]`` or ``benchmarks.set5.data``."""
    key = re.sub(r"(\.sets\[\d+\])+$", "", key)  # of a mix
    plain = re.sub(r"^benchmarks\.[^.]+", "benchmarks.NAME", re.sub(r"\[\d+\]$", "", key))
    return NAMED_BY["hooks" if plain.startswith("hooks.") else plain]


def specs_of(recipe: Recipe) -> Iterator[tuple[str, Spec]]:
    """Yield every Spec of a recipe whose name is in a registry, with its key."""
    yield "model", recipe.model
    yield from _with_sets("data.train", recipe.data.train)
    for index, step in enumerate(recipe.data.degrade):
        yield f"data.degrade[{index}]", step
    yield "optim.schedule", recipe.optim.schedule
    yield "loss", recipe.loss
    yield "init", recipe.init
    yield "precision", recipe.precision
    yield "device", recipe.device
    for name, benchmark in wanted_benchmarks(recipe):
        yield from _with_sets(f"benchmarks.{name}.data", benchmark.data)
        for index, step in enumerate(benchmark.degrade):
            yield f"benchmarks.{name}.degrade[{index}]", step
    for name, spec in recipe.hooks.items():
        if spec is not None:
            yield f"hooks.{name}", spec


def _with_sets(key: str, spec: Spec) -> Iterator[tuple[str, Spec]]:
    """Yield the Spec of a data set and, of a mix, those of its sets."""
    yield key, spec
    sets = spec.args.get("sets")
    for index, one in enumerate(sets if isinstance(sets, tuple) else ()):
        if isinstance(one, Spec):
            yield from _with_sets(f"{key}.sets[{index}]", one)


def _check_spec(key: str, registry: Registry, spec: Spec) -> None:
    target = registry.get(spec.name)
    from_run = registry.from_run(spec.name)
    if unknown := [name for name in from_run if name not in OFFERED]:
        raise RecipeError(
            f"the {registry.kind} {spec.name!r} asks for {unknown[0]!r} from the run."
            f"{did_you_mean(unknown[0], OFFERED)} A run offers: {listing(OFFERED)}."
        )
    try:
        check_arguments(f"{registry.kind} {spec.name!r}", target, {**dict.fromkeys(from_run), **spec.args})
    except RecipeError as error:
        raise RecipeError(f"{error} 'srtrain explain {spec.name}' describes them.") from None
    hints = hints_of(target)
    for name, value in spec.args.items():
        if any(epochs.n <= 0 for epochs in _epochs_in(value)):
            raise RecipeError(f"{key}.{name} = {value!r} must be above 0 epochs.")
        plain = in_steps(value, 1)
        if name in hints and (mistake := type_mistake(f"{key}.{name}", plain, hints[name])):
            raise RecipeError(mistake)
        if name == "every" and isinstance(value, int) and value < 1:
            raise RecipeError(f"{key}.every = {value!r} must be 1 or more steps; {key}=None removes it.")


def _epochs_in(value: Any) -> list[Epochs]:
    if isinstance(value, tuple):
        return [epochs for item in value for epochs in _epochs_in(item)]
    return [value] if isinstance(value, Epochs) else []
