"""The architecture search as a hook of the trainer."""

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
from srtrain.models.ensemble import channels_of
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
    """Searches an ESRN before the first step, and ends the run when the search is done.

    The recipe describes the training of one candidate: model, data, loss, optimizer, schedule and length. Candidates
    differ only in ``model.blocks``. Each candidate has its own trainer, so a candidate that fails does not affect the
    run. With several ranks, each free rank trains the next candidate; gradients are not averaged. Resume a search with
    ``--resume``, like any run.

    Args:
        new_trainer: from the run; makes the trainers of candidates.
        benchmarks: from the run; candidates are scored on crops of these pictures.
        seed: from the run.
        space: arguments of ``SpaceSettings``, without ``n_feats``, which is taken from the model.
        evolution: arguments of ``EvolutionSettings``.
        objectives: names of ``DIRECTIONS``. Credit uses the first. With several, the search keeps the candidates that
            no other dominates.
        credit: how mutation learns which kinds of blocks are good; a name from ``CREDITS``.
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

    def setup(self, trainer: TrainerApi) -> None:
        """Check everything that can refuse the search, before the run folder changes.

        Raises:
            RecipeError: the model is not an ESRN, or the space has no network in its window.
            CheckpointError: the outcomes of earlier sessions are from a search with other settings.
        """
        self._prepared = self.prepare(trainer)
        self._prepared[2].check()
        strategy: Credit = CREDITS.build(self.credit.name, **self.credit.args)
        Evolution(
            self._prepared[0], self.seed, self.settings, self.objectives, strategy
        ).ask()  # finds a network

    def before_train(self, trainer: TrainerApi) -> None:
        """Run the whole search, then request the end of the run."""
        space, fitness, journal = self._prepared
        self._begin(trainer, journal)
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
        trainer.request_stop("the search, which is finished")

    def prepare(self, trainer: TrainerApi) -> tuple[Space, Fitness, Journal]:
        """Return the search space, the scoring of candidates, and the journal.

        Raises:
            RecipeError: the model is not an ESRN.
        """
        if not isinstance(trainer.model, ESRN):
            raise RecipeError(
                f"hooks.search needs model='esrn', which is built from blocks; the model of the recipe is "
                f"{type(trainer.model).__name__!r}."
            )
        n_feats = trainer.model.n_feats
        settings = SpaceSettings(**{**self.space, "n_feats": n_feats})
        space = Space(settings, Costs(self.new_trainer.scale, n_feats, channels_of(trainer.model)))
        crops = Crops(self.benchmarks, seed=self.seed, **self.crops)
        fitness = Fitness(self.new_trainer, crops, self.objectives, self.strategy.needs_drops)
        journal = Journal(trainer.run_dir / "search", self._digest(crops), trainer.backend.rank)
        return space, fitness, journal

    def _begin(self, trainer: TrainerApi, journal: Journal) -> None:
        """Release the claims of ended processes before any rank claims a candidate."""
        if trainer.backend.rank == 0:
            journal.begin()
            for owner in journal.forget_claims():
                trainer.log.warning(
                    f"{owner} ended while it trained a candidate; the candidate is trained again"
                )
            if len(journal):
                trainer.log.info(
                    f"candidates with a result from an earlier session: {len(journal)}; they are not trained again"
                )
        trainer.backend.barrier()

    def _digest(self, crops: Crops) -> str:
        """Return a text that is equal for two searches if their outcomes are comparable."""
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
    """Return the outcome of each individual by its blocks; all ranks together train those without an outcome.

    Each free rank claims the next untrained candidate, so a slow candidate delays only its own rank.
    """
    outcomes: dict[tuple[str, ...], Outcome] = {}
    while missing := [i for i in individuals if i.blocks not in outcomes]:
        for individual in missing:
            outcome = journal.outcome(individual.blocks)
            if outcome is None and journal.claim(individual.blocks):
                outcome = _train(individual, fitness, journal)
                trainer.log.info(describe(individual, outcome))
            elif outcome is not None and trainer.backend.rank == 0 and journal.is_news(individual.blocks):
                trainer.log.info(f"{describe(individual, outcome)}  (another rank)")
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
            {}, f"its process ended {n_losses} times during the training, perhaps because memory ran out"
        )
    else:
        try:
            outcome = fitness(blocks)
        except BaseException:
            journal.release(blocks)  # a stop from outside, or a bug: not the fault of the candidate
            raise
    journal.record(blocks, outcome)
    return outcome


def describe(individual: Individual, outcome: Outcome) -> str:
    """Return the line of the log for a candidate."""
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
    """Let SIGTERM raise SystemExit, so that a claim is released; clusters send SIGTERM to stop a job."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
