"""From a recipe to live objects: the only place that knows both."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn

import srtrain.data
import srtrain.hooks.checkpoint
import srtrain.hooks.console
import srtrain.hooks.ema
import srtrain.hooks.evaluate
import srtrain.hooks.loss_scale
import srtrain.hooks.lr
import srtrain.hooks.metrics
import srtrain.hooks.nan_guard
import srtrain.hooks.pictures
import srtrain.hooks.require_gain
import srtrain.hooks.require_learning
import srtrain.hooks.signals
import srtrain.hooks.tensorboard
import srtrain.hooks.timing
import srtrain.hooks.watchdog
import srtrain.losses
import srtrain.models.edsr
import srtrain.models.esrn
from srtrain.data.degrade import DEGRADATIONS, Degrade
from srtrain.data.loader import Loader
from srtrain.data.sampler import Sampler
from srtrain.data.store import Pictures
from srtrain.device.backend import Backend
from srtrain.errors import RecipeError, UserError
from srtrain.evaluation.evaluator import EvalSet, Evaluator
from srtrain.hooks.lr import LrHook
from srtrain.models.initialise import INITIALISERS, initialise
from srtrain.models.upscale import Upscaler
from srtrain.recipe import Benchmark, Epochs, Recipe, Spec
from srtrain.recipe.check import check_recipe, type_mistake
from srtrain.recipe.record import digest
from srtrain.recipe.text import to_text
from srtrain.registry import (
    BACKENDS,
    DATASETS,
    HOOKS,
    LOSSES,
    MODELS,
    PRECISIONS,
    PROTOCOLS,
    SCHEDULES,
    Registry,
    check_arguments,
    parameters_of,
)
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.trainer.factory import TrainerFactory
from srtrain.trainer.hook import Hook, plan
from srtrain.trainer.log import Log
from srtrain.trainer.optim import build_optimizer, check_optimizer
from srtrain.trainer.step import TrainStep
from srtrain.trainer.trainer import Trainer
from srtrain.weights.read import read_weights
from srtrain.weights.transfer import load_weights

# Arguments that build.py fills in where a class or function has a parameter of that name.
FILLED_IN = {
    *("scale", "root", "max_steps", "schedule", "base_lr", "benchmarks", "evaluator", "recipe_text"),
    *("new_trainer", "seed"),
}


def check(recipe: Recipe) -> None:
    """Check every name and every argument of a recipe without building anything.

    Raises:
        RecipeError: all mistakes, one a line.
    """
    check_recipe(recipe)
    mistakes = []
    for key, registry, spec in _specs(recipe):
        try:
            _check_spec(key, registry, spec)
        except UserError as error:
            mistakes.append(f"{key}: {error}")
    for name, benchmark in _benchmarks(recipe):
        try:
            PROTOCOLS.get(benchmark.protocol)
        except UserError as error:
            mistakes.append(f"benchmarks.{name}.protocol: {error}")
    try:
        check_optimizer(recipe.optim.optimizer.name, recipe.optim.optimizer.args, recipe.device.name)
    except UserError as error:
        mistakes.append(f"optim.optimizer: {error}")
    if mistakes:
        raise RecipeError("\n".join(mistakes))
    planned_hooks(recipe)


def planned_hooks(recipe: Recipe) -> list[Hook]:
    """Return the hooks of a recipe in the order in which they run, without data or model behind them.

    Raises:
        UserError: a hook that refuses its arguments.
        HookError: hooks that break the contract.
    """
    nothing = dict.fromkeys(FILLED_IN)
    return plan([build_spec(HOOKS, spec, 1, **nothing) for spec in recipe.hooks.values() if spec is not None])


def _specs(recipe: Recipe) -> Iterator[tuple[str, Registry, Spec]]:
    """Yield every Spec of a recipe with its key and the registry its name is from."""
    yield "model", MODELS, recipe.model
    yield "data.train", DATASETS, recipe.data.train
    for index, step in enumerate(recipe.data.degrade):
        yield f"data.degrade[{index}]", DEGRADATIONS, step
    yield "optim.schedule", SCHEDULES, recipe.optim.schedule
    yield "loss", LOSSES, recipe.loss
    yield "init", INITIALISERS, recipe.init
    yield "precision", PRECISIONS, recipe.precision
    yield "device", BACKENDS, recipe.device
    for name, benchmark in _benchmarks(recipe):
        yield f"benchmarks.{name}.data", DATASETS, benchmark.data
    for name, spec in recipe.hooks.items():
        if spec is not None:
            yield f"hooks.{name}", HOOKS, spec


def _benchmarks(recipe: Recipe) -> list[tuple[str, Benchmark]]:
    return [(name, benchmark) for name, benchmark in recipe.benchmarks.items() if benchmark is not None]


def _check_spec(key: str, registry: Registry, spec: Spec) -> None:
    target = registry.get(spec.name)
    takes = parameters_of(target)
    filled = dict.fromkeys(FILLED_IN & set(takes) - set(spec.args))
    check_arguments(f"{registry.kind} {spec.name!r}", target, {**spec.args, **filled})
    hints = _hints(target)
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


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a class's or function's parameters."""
    function = target.__init__ if inspect.isclass(target) else getattr(target, "func", target)
    try:
        return typing.get_type_hints(function)
    except NameError:  # a user's annotations may name what only type checkers import: no types to check
        return {}


def build_spec(registry: Registry, spec: Spec, steps_per_epoch: int, **filled_in: Any) -> Any:
    """Build what a Spec names, with epochs turned into steps and the parts it asks for filled in."""
    takes = parameters_of(registry.get(spec.name))
    given = {name: in_steps(value, steps_per_epoch) for name, value in spec.args.items()}
    return registry.build(
        spec.name, **{k: v for k, v in filled_in.items() if k in takes and k not in given}, **given
    )


def in_steps(value: Any, steps_per_epoch: int) -> Any:
    """Turn epochs into steps, also inside tuples; leave everything else alone."""
    if isinstance(value, Epochs):
        return max(1, round(value.n * steps_per_epoch))
    if isinstance(value, tuple):
        return tuple(in_steps(item, steps_per_epoch) for item in value)
    return value


def build_backend(recipe: Recipe) -> Backend:
    """Return the device, started.

    Raises:
        DeviceError: this machine does not have it.
    """
    backend: Backend = build_spec(BACKENDS, recipe.device, 1)
    backend.start(recipe.train.mode, recipe.train.threads)
    if recipe.train.compile_cache:
        folder = Path(recipe.train.compile_cache).expanduser().resolve()
        ms.set_context(enable_compile_cache=True, compile_cache_path=str(folder))
    return backend


def build_pictures(recipe: Recipe, key: str, spec: Spec, cache: str) -> Pictures:
    """Return the pictures of a data set.

    Raises:
        DataError: folders or pictures that are missing or do not fit together.
        RecipeError: the set needs a folder and neither it nor ``data.root`` names one.
    """
    needs_root = "root" in parameters_of(DATASETS.get(spec.name)) and "root" not in spec.args
    if needs_root and not recipe.data.root:
        raise RecipeError(
            f"{key} = {spec.name!r} needs the folder of the data: add data.root=FOLDER (or {key}.root=FOLDER)."
        )
    pairs = build_spec(DATASETS, spec, 1, root=recipe.data.root, scale=recipe.scale)
    cache_dir = Path(recipe.data.cache_dir).expanduser() if recipe.data.cache_dir else None
    return Pictures(pairs, recipe.scale, cache, cache_dir)


def build_benchmarks(recipe: Recipe) -> list[EvalSet]:
    """Return the benchmarks of a recipe.

    Raises:
        DataError: as ``build_pictures``, like RecipeError.
    """
    benchmarks = []
    for name, benchmark in _benchmarks(recipe):
        pictures = build_pictures(recipe, f"benchmarks.{name}.data", benchmark.data, cache="none")
        benchmarks.append(EvalSet(name, pictures, recipe.scale, PROTOCOLS.build(benchmark.protocol)))
    return benchmarks


def build_model(recipe: Recipe) -> nn.Cell:
    """Return the network of a recipe, as its layers initialise themselves."""
    model: nn.Cell = build_spec(MODELS, recipe.model, 1, scale=recipe.scale)
    return model


def build_trainer(recipe: Recipe, run_dir: Path, backend: Backend, log: Log) -> Trainer:
    """Wire a whole run.

    Raises:
        UserError: whatever the recipe asks for that cannot be had.
    """
    pictures = build_pictures(recipe, "data.train", recipe.data.train, recipe.data.cache)
    per_epoch = recipe.train.steps_per_epoch or max(1, len(pictures) // recipe.data.batch_size)
    max_steps = recipe.train.steps or in_steps(Epochs(recipe.train.epochs or 0), per_epoch)
    log.every = in_steps(recipe.train.log_every, per_epoch)
    log.info(
        f"training on {len(pictures)} pictures; one epoch is {per_epoch} updates; {max_steps} updates in all"
    )

    _check_parts(recipe, backend.world_size)
    store = CheckpointStore(run_dir / "checkpoints", about(recipe), writes=backend.rank == 0)

    def another(model_args: dict[str, Any], hooks: Sequence[Hook]) -> Trainer:
        spec = Spec(recipe.model.name, **{**recipe.model.args, **model_args})
        model = _initialised_model(dataclasses.replace(recipe, model=spec), per_epoch)
        lr = LrHook(
            build_spec(SCHEDULES, recipe.optim.schedule, per_epoch, max_steps=max_steps), recipe.optim.lr
        )
        return Trainer(
            model=model,
            update=_build_update(recipe, model, None, per_epoch),
            loader=_build_loader(recipe, pictures, per_epoch),
            hooks=[lr, *hooks],
            max_steps=max_steps,
            backend=backend,
            store=store,
            log=log,
        )

    new_trainer = TrainerFactory(another, recipe.scale, digest(_what_trains(recipe)))
    model = _initialised_model(recipe, per_epoch)
    if recipe.init_from:
        weights = read_weights(Path(recipe.init_from).expanduser())
        log.info(str(load_weights(model, weights, about(recipe))))

    trainer = Trainer(
        model=model,
        update=_build_update(recipe, model, backend, per_epoch),
        loader=_build_loader(recipe, pictures, per_epoch, backend.rank, backend.world_size),
        hooks=_build_hooks(recipe, model, backend, per_epoch, max_steps, new_trainer),
        max_steps=max_steps,
        backend=backend,
        store=store,
        log=log,
    )
    trainer.sink(recipe.train.sink_steps)
    return trainer


def _check_parts(recipe: Recipe, world_size: int) -> None:
    size, parts = recipe.data.batch_size, recipe.train.accumulate
    if size % (parts * world_size):
        raise RecipeError(
            f"data.batch_size = {size} cannot be worked through in train.accumulate = {parts} equal parts on "
            f"{world_size} rank(s). Use a multiple of {parts * world_size}."
        )


def _build_loader(
    recipe: Recipe, pictures: Pictures, per_epoch: int, rank: int = 0, world_size: int = 1
) -> Loader:
    data = recipe.data
    sampler = Sampler(len(pictures), data.batch_size, recipe.seed, rank, world_size)
    steps = tuple(build_spec(DEGRADATIONS, spec, per_epoch) for spec in data.degrade)
    degrade = Degrade(steps) if steps else None
    return Loader(pictures, sampler, data.gt_patch_px, data.augment, data.workers, degrade)


def _initialised_model(recipe: Recipe, per_epoch: int) -> nn.Cell:
    ms.set_seed(recipe.seed)  # for layers that initialise() leaves alone
    model = build_model(recipe)
    initialise(model, build_spec(INITIALISERS, recipe.init, per_epoch), recipe.seed)
    return model


def _what_trains(recipe: Recipe) -> Recipe:
    """Return a recipe without what leaves the weights of a network as they are."""
    train = dataclasses.replace(recipe.train, log_every=1, threads=0, compile_cache="")
    data = dataclasses.replace(recipe.data, cache="", cache_dir="", workers=1)
    return dataclasses.replace(recipe, name="", train=train, data=data, benchmarks={}, hooks={}, plugins=())


def _build_update(recipe: Recipe, model: nn.Cell, backend: Backend | None, per_epoch: int) -> TrainStep:
    """Return the update; without a backend, that of this process alone."""
    optim = recipe.optim
    parameters = list(model.trainable_params())
    return TrainStep(
        model,
        build_spec(LOSSES, recipe.loss, per_epoch),
        build_optimizer(optim.optimizer.name, parameters, optim.lr, **optim.optimizer.args),
        precision=build_spec(PRECISIONS, recipe.precision, per_epoch),
        reducer=backend.gradient_reducer(parameters) if backend is not None else None,
        accumulate=recipe.train.accumulate,
        clip_norm=optim.clip_norm,
        skip_above=optim.skip_above,
    )


def _build_hooks(
    recipe: Recipe,
    model: nn.Cell,
    backend: Backend,
    per_epoch: int,
    max_steps: int,
    new_trainer: TrainerFactory,
) -> list[Hook]:
    filled_in = {
        "schedule": build_spec(SCHEDULES, recipe.optim.schedule, per_epoch, max_steps=max_steps),
        "base_lr": recipe.optim.lr,
        "benchmarks": build_benchmarks(recipe),
        "evaluator": Evaluator(Upscaler(model), backend),
        "recipe_text": to_text(recipe),
        "max_steps": max_steps,
        "scale": recipe.scale,
        "new_trainer": new_trainer,
        "seed": recipe.seed,
    }
    wanted = [spec for spec in recipe.hooks.values() if spec is not None]
    return [build_spec(HOOKS, spec, per_epoch, **filled_in) for spec in wanted]


def about(recipe: Recipe) -> dict[str, Any]:
    """Return what every checkpoint of a run says about itself."""
    return {
        "model": recipe.model.name,
        "model_args": recipe.model.args,
        "scale": recipe.scale,
        "precision": recipe.precision.name,
        "recipe_hash": digest(recipe),
        "benchmarks": {name: benchmark.protocol for name, benchmark in _benchmarks(recipe)},
        "srtrain": srtrain.__version__,
    }
