"""Build the trainer of a recipe: the only place that wires a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import mindspore as ms
from mindspore import nn

from srtrain.build.check import check_batch_size
from srtrain.build.kernels import network_to_train, upscaler
from srtrain.build.parts import (
    about,
    build_benchmarks,
    build_degrade,
    build_model,
    build_pictures,
    build_spec,
    in_steps,
    read_weights_for,
    trained_scales,
    training_digest,
)
from srtrain.build.recompute import recompute_blocks
from srtrain.data.loader import BatchSource, Loader
from srtrain.data.sampler import Sampler
from srtrain.data.scales import ScalesLoader
from srtrain.data.store import Pictures
from srtrain.data.transforms import HFLIP, ROT90, VFLIP
from srtrain.device import PRECISIONS
from srtrain.device.backend import Backend
from srtrain.errors import RecipeError, UserError, counted
from srtrain.evaluation.evaluator import Evaluator
from srtrain.hooks import HOOKS
from srtrain.hooks.lr import LrHook
from srtrain.models import INITIALISERS
from srtrain.models.initialise import initialise
from srtrain.models.upscale import upscalers
from srtrain.recipe import Epochs, Recipe, Spec
from srtrain.recipe.text import to_text
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.trainer.factory import TrainerFactory
from srtrain.trainer.hook import Hook
from srtrain.trainer.log import Log
from srtrain.trainer.losses import LOSSES
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.schedules import SCHEDULES
from srtrain.trainer.schedules.warmup import Schedule
from srtrain.trainer.step import TrainStep
from srtrain.trainer.trainer import Trainer
from srtrain.weights.transfer import load_weights

_NO_HOOKS: Mapping[str, Hook] = MappingProxyType({})

ADVICE = "try a lower optim.lr, optim.clip_norm=0.5, or a smaller model.res_scale"
"""What to try when training diverges, for the trainer's errors."""


def build_trainer(
    recipe: Recipe, run_dir: Path, backend: Backend, log: Log, hooks: Mapping[str, Hook] = _NO_HOOKS
) -> Trainer:
    """Build the trainer of a run.

    Args:
        recipe: the recipe, checked.
        run_dir: the run folder.
        backend: the device, started.
        log: where the run writes its messages.
        hooks: existing hooks by their keys in the recipe; they are used instead of building these hooks.

    Raises:
        UserError: the recipe asks for something that is missing or not possible, such as a folder of pictures.
    """
    pictures = [
        build_pictures(recipe, "data.train", recipe.data.train, recipe.data.cache, scale)
        for scale in trained_scales(recipe)
    ]
    per_epoch = recipe.train.steps_per_epoch or max(1, len(pictures[0]) // recipe.data.batch_size)
    max_steps = recipe.train.steps or in_steps(Epochs(recipe.train.epochs or 0), per_epoch)
    log.every = in_steps(recipe.train.log_every, per_epoch)
    log.info(
        f"training on {counted(len(pictures[0]), 'picture')}; one epoch is {counted(per_epoch, 'update')}; "
        f"{counted(max_steps, 'update')} in all"
    )
    check_batch_size(recipe, backend.world_size)
    store = CheckpointStore(run_dir / "checkpoints", about(recipe), writes=backend.rank == 0)
    run = _Run(recipe, pictures, per_epoch, max_steps, backend, store, log)
    model = _initialised_model(recipe, per_epoch)
    if recipe.init_from:
        weights = read_weights_for(recipe, Path(recipe.init_from))
        log.info(str(load_weights(model, weights, about(recipe))))
    trainer = run.trainer(model, {**run.hooks(model), **hooks}.values())
    trainer.state.advice = ADVICE
    try:
        trainer.sink(recipe.train.sink_steps)
    except UserError as error:
        raise type(error)(f"train.{error}") from error
    return trainer


@dataclass(frozen=True)
class _Run:
    """What the trainer of a run and the trainers of a search's candidates share."""

    recipe: Recipe
    pictures: Sequence[Pictures]
    per_epoch: int
    max_steps: int
    backend: Backend
    store: CheckpointStore
    log: Log

    def trainer(self, model: nn.Cell, hooks: Iterable[Hook], alone: bool = False) -> Trainer:
        """Return a trainer for this network; ``alone`` means whole batches on this rank, without the other ranks."""
        backend = self.backend
        rank, world_size = (0, 1) if alone else (backend.rank, backend.world_size)
        return Trainer(
            model=model,
            update=_build_update(self.recipe, model, backend, self.per_epoch, self.log, alone),
            loader=_build_loader(self.recipe, self.pictures, rank, world_size),
            hooks=list(hooks),
            max_steps=self.max_steps,
            backend=backend,
            store=self.store,
            log=self.log,
        )

    def candidate(self, model_args: dict[str, Any], hooks: Sequence[Hook]) -> Trainer:
        """Return a trainer for a new network with other arguments; see ``TrainerFactory.build``."""
        spec = Spec(self.recipe.model.name, **{**self.recipe.model.args, **model_args})
        model = _initialised_model(dataclasses.replace(self.recipe, model=spec), self.per_epoch)
        return self.trainer(model, [LrHook(self.schedule(), self.recipe.optim.lr), *hooks], alone=True)

    def schedule(self) -> Schedule:
        """Return the learning-rate schedule of the recipe."""
        spec = self.recipe.optim.schedule
        schedule: Schedule = build_spec(SCHEDULES, spec, self.per_epoch, {"max_steps": self.max_steps})
        return schedule

    def hooks(self, model: nn.Cell) -> dict[str, Hook]:
        """Return the hooks of the recipe by their keys."""
        recipe = self.recipe
        offered = {
            "schedule": self.schedule(),
            "base_lr": recipe.optim.lr,
            "benchmarks": build_benchmarks(recipe),
            "evaluator": Evaluator(upscaler(model, self.backend), self.backend, at_scale=upscalers(model)),
            "recipe_text": to_text(recipe),
            "max_steps": self.max_steps,
            "scale": recipe.scale,
            "new_trainer": TrainerFactory(self.candidate, recipe.scale, training_digest(recipe)),
            "seed": recipe.seed,
        }
        wanted = {key: spec for key, spec in recipe.hooks.items() if spec is not None}
        if reason := self.backend.why_fixed_sizes():
            for key, spec in wanted.items():
                if "evaluator" in HOOKS.from_run(spec.name):
                    raise RecipeError(f"hooks.{key} evaluates pictures of many sizes: {reason}")
        return {key: build_spec(HOOKS, spec, self.per_epoch, offered) for key, spec in wanted.items()}


def _build_loader(recipe: Recipe, pictures: Sequence[Pictures], rank: int, world_size: int) -> BatchSource:
    """Return the loader of one scale, or of several; ``pictures`` are the same at each scale."""
    data = recipe.data
    sampler = Sampler(len(pictures[0]), data.batch_size, recipe.seed, rank, world_size)
    degrade = build_degrade(data.degrade)
    turns = HFLIP * data.hflip | VFLIP * data.vflip | ROT90 * data.rot90
    if len(pictures) == 1:
        return Loader(pictures[0], sampler, data.gt_patch_px, data.augment, data.workers, degrade, turns)
    lq_px = data.gt_patch_px // recipe.scale
    return ScalesLoader(
        [
            Loader(one, sampler, lq_px * one.scale, data.augment, data.workers, degrade, turns)
            for one in pictures
        ],
        recipe.seed,
    )


def _initialised_model(recipe: Recipe, per_epoch: int) -> nn.Cell:
    ms.set_seed(recipe.seed)  # for layers that initialise() does not change
    model = build_model(recipe)
    initialise(model, build_spec(INITIALISERS, recipe.init, per_epoch), recipe.seed)
    return model


def _build_update(
    recipe: Recipe, model: nn.Cell, backend: Backend, per_epoch: int, log: Log, alone: bool = False
) -> TrainStep:
    """Return the update of all ranks together, or of this process alone."""
    optim = recipe.optim
    parameters = list(model.trainable_params())
    precision = build_spec(PRECISIONS, recipe.precision, per_epoch)
    precision.finite = backend.finite_check()
    again = recipe.train.recompute  # a network of our own kernels is one operator, which keeps what it needs
    update = TrainStep(
        model if again else network_to_train(model, backend, log, precision),
        build_spec(LOSSES, recipe.loss, per_epoch),
        build_optimizer(optim.optimizer.name, parameters, optim.lr, **optim.optimizer.args),
        precision=precision,
        reducer=None if alone else backend.gradient_reducer(parameters),
        accumulate=recipe.train.accumulate,
        clip_norm=optim.clip_norm,
        skip_above=optim.skip_above,
    )
    if again:
        log.info(f"recompute: {counted(recompute_blocks(update.network), 'block')}")
    return update
