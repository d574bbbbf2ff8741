"""The architecture search as a trainer's callback."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from srtrain.errors import RecipeError
from srtrain.evaluation.evaluator import EvalSet
from srtrain.hooks import HOOKS
from srtrain.models.esrn import ESRN
from srtrain.recipe import Spec
from srtrain.registry import check_arguments
from srtrain.trainer.api import TrainerApi
from srtrain.trainer.factory import TrainerFactory
from srtrain.trainer.hook import STATE, Hook

from ..search.costs import Costs
from ..search.credit import CREDITS, Credit
from ..search.evolution import Evolution, EvolutionSettings
from ..search.selection import Objectives
from ..search.space import Space, SpaceSettings
from ..search.types import Individual, Outcome
from .crops import Crops
from .fitness import Fitness
from .journal import MAX_LOSSES, Journal
from .results import Results

_POLL_SECONDS = 0.1


@HOOKS.register("esr_search", from_run=("seed", "benchmarks", "new_trainer"))
class SearchHook(Hook):
    """Searches an ESRN before the first step, and ends the run when it is done; the recipe is what trains a candidate.

    The model's arguments, data, loss, optimizer, schedule and length are those of one short training; only ``blocks``
    changes from candidate to candidate. Each is trained by a trainer of its own and not by the run's, so that one that
    fails leaves nothing behind and ends nothing. On several ranks each trains other candidates, whoever is free the
    next; gradients are not averaged. Resume a search like any run, with ``--resume``.

    Args:
        new_trainer: filled in.
        benchmarks: filled in; candidates are scored on crops of their pictures.
        seed: filled in.
        space: ``SpaceSettings``, but for ``n_feats``, which is the model's.
        evolution: ``EvolutionSettings``.
        objectives: the first is what credit is earned with; with several, what is kept is what nothing beats in all.
        credit: how mutation learns which kinds of blocks are good, from ``CREDITS``.
        crops: arguments of ``Crops``: ``lq_px`` and ``n_per_picture``.

    Raises:
        RecipeError: settings that contradict each other, or a space without a network in its window.
    """

    order = STATE

    def __init__(
        self,
        new_trainer: TrainerFactory,
        benchmarks: Sequence[EvalSet],
        seed: int,
        space: dict[str, Any] | None = None,
        evolution: dict[str, Any] | None = None,
        objectives: tuple[str, ...] = ("psnr",),
        credit: Spec | str = "uniform",
        crops: dict[str, int] | None = None,
    ) -> None:
        self.new_trainer = new_trainer
        self.benchmarks = benchmarks
        self.seed = seed
        self.space = dict(space or {})
        self.objectives = objectives
        self.credit = credit if isinstance(credit, Spec) else Spec(credit)
        self.strategy: Credit = CREDITS.build(self.credit.name, **self.credit.args)
        self.crops = {"lq_px": 32, "n_per_picture": 4, **(crops or {})}
        filled = {"benchmarks": None, "seed": None}
        check_arguments("hooks.search.space", SpaceSettings, self.space)
        check_arguments("hooks.search.evolution", EvolutionSettings, evolution or {})
        check_arguments("hooks.search.crops", Crops, {**self.crops, **filled})
        self.settings = EvolutionSettings(**(evolution or {}))
        SpaceSettings(**self.space)
        Objectives(objectives)

    def before_train(self, trainer: TrainerApi) -> None:
        """Search."""
        space, fitness, journal = self.prepare(trainer)
        evolution = Evolution(space, self.seed, self.settings, self.objectives, self.strategy)
        text = self._settings_text(trainer)
        results = Results(trainer, self.new_trainer.scale, evolution, fitness.crops.protocol, text)
        with released_on_sigterm():
            while not evolution.done:
                individuals = evolution.ask()
                outcomes = evaluate(individuals, fitness, journal, trainer)
                for individual in individuals:
                    evolution.tell(individual, outcomes[individual.blocks])
                results.publish()
        results.conclude()
        trainer.request_stop("its search, which is finished")

    def prepare(self, trainer: TrainerApi) -> tuple[Space, Fitness, Journal]:
        """Return what is searched, what scores it, and what remembers.

        Raises:
            RecipeError: the model is none that is built from blocks.
        """
        if not isinstance(trainer.model, ESRN):
            raise RecipeError(
                f"hooks.search builds networks from blocks, so model must be 'esrn', not "
                f"{type(trainer.model).__name__!r}."
            )
        n_feats = trainer.model.n_feats
        settings = SpaceSettings(**{**self.space, "n_feats": n_feats})
        space = Space(settings, Costs(self.new_trainer.scale, n_feats))
        crops = Crops(self.benchmarks, seed=self.seed, **self.crops)
        fitness = Fitness(self.new_trainer, crops, self.objectives, self.strategy.needs_drops)
        journal = Journal(trainer.run_dir / "search", self._digest(crops), trainer.backend.rank)
        self._begin(trainer, journal)
        return space, fitness, journal

    def _begin(self, trainer: TrainerApi, journal: Journal) -> None:
        """Clear up after processes that are no more, before any rank claims anything."""
        if trainer.backend.rank == 0:
            for owner in journal.forget_claims():
                trainer.log.warning(f"{owner} ended while it trained a candidate, which is trained again")
            if len(journal):
                trainer.log.info(f"{len(journal)} candidates are known from before and are not trained again")
        trainer.backend.barrier()

    def _digest(self, crops: Crops) -> str:
        """Return what must be the same for two outcomes to be comparable."""
        parts = [self.new_trainer.digest, crops.protocol, str(self.seed)]
        return "/".join([*parts, "latency" if "latency" in self.objectives else ""])

    def _settings_text(self, trainer: TrainerApi) -> Mapping[str, str]:
        given = {"space": self.space, "evolution": vars(self.settings), "crops": self.crops}
        parts = {
            f"{name}.{key}": str(value) for name, values in given.items() for key, value in values.items()
        }
        return {
            "objectives": ", ".join(self.objectives),
            "credit": " ".join([self.credit.name, *(f"{k}={v!r}" for k, v in self.credit.args.items())]),
            "updates of a candidate": str(trainer.max_steps),
            "ranks": str(trainer.backend.world_size),
            **parts,
        }


def evaluate(
    individuals: Sequence[Individual], fitness: Fitness, journal: Journal, trainer: TrainerApi
) -> dict[tuple[str, ...], Outcome]:
    """Return what came of each, by its blocks, once all ranks together have trained those that nobody knew.

    Each rank takes the next one that nobody is at, so that a slow candidate holds up one rank and not all.
    """
    outcomes: dict[tuple[str, ...], Outcome] = {}
    while missing := [i for i in individuals if i.blocks not in outcomes]:
        for individual in missing:
            outcome = journal.outcome(individual.blocks)
            if outcome is None and journal.claim(individual.blocks):
                outcome = _train(individual, fitness, journal)
                trainer.log.info(describe(individual, outcome))
            if outcome is not None:
                outcomes[individual.blocks] = outcome
        trainer.backend.progress.beat()
        if len(outcomes) < len({i.blocks for i in individuals}):
            time.sleep(_POLL_SECONDS)
    return outcomes


def _train(individual: Individual, fitness: Fitness, journal: Journal) -> Outcome:
    blocks = individual.blocks
    if (n_losses := journal.n_losses(blocks)) >= MAX_LOSSES:
        outcome = Outcome(
            {}, f"its process ended {n_losses} times while it was trained, as when memory runs out"
        )
    else:
        try:
            outcome = fitness(blocks)
        except BaseException:
            journal.release(
                blocks
            )  # stopped from outside, or a mistake in the code: no fault of the candidate
            raise
    journal.record(blocks, outcome)
    return outcome


def describe(individual: Individual, outcome: Outcome) -> str:
    """Return a line on a candidate."""
    head = f"generation {individual.generation}  candidate {individual.number} ({individual.origin})"
    if outcome.failed:
        return f"{head}  failed: {outcome.reason}"
    found = outcome.objectives
    latency = f"  {1000 * found['latency']:.1f} ms" if "latency" in found else ""
    return (
        f"{head}  PSNR {found['psnr']:.3f} dB  {found['parameters']:,.0f} parameters  "
        f"{found['multi_adds'] / 1e9:.1f} G multi-adds{latency}  {sum(outcome.seconds.values()):.1f} s"
    )


@contextmanager
def released_on_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that a claim is given back: a cluster that stops a job sends it."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
