"""The evolution: it proposes networks, is told their outcomes, and derives the next generation from them.

    while not evolution.done:
        for individual in evolution.ask():  # a whole generation; evaluate it in any order, in any process
            evolution.tell(individual, outcome_of(individual.blocks))

It does not know the trainer, and it never proposes a network twice. Its state is not saved: it is a pure function of
the space, the settings, the seed and the outcomes. To resume a search, run a new evolution with the old outcomes. It
proposes the same networks and reaches the same state, bit for bit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from srtrain.errors import RecipeError, SrtrainError, did_you_mean, listing

from .credit import Credit, Tally, Uniform
from .repair import tails
from .selection import SELECTIONS, Objectives, Population, Scored
from .space import Space
from .types import Generation, Genome, Individual, Outcome
from .variation import cross, draw, mutate

_MOST_FAILED_GENERATIONS = 3

Told = tuple[Individual, Outcome]


@dataclass(frozen=True)
class EvolutionSettings:
    """Settings of the evolution. The defaults are the published configuration of the authors.

    Attributes:
        n_generations: number of generations, including the random first one.
        n_individuals: new individuals in each generation.
        n_elites: how many of the best individuals stay as parents; they are not trained again.
        mutation_rate: probability that a gene is switched, and that its kind is drawn again.
        selection: how the parents of a crossover are selected: ``tournament`` or ``roulette``.
        n_retries: attempts to create a child that was not proposed before; then a random new network is taken.

    Raises:
        RecipeError: a value outside of its range.
    """

    n_generations: int = 20
    n_individuals: int = 8
    n_elites: int = 4
    mutation_rate: float = 0.05
    selection: str = "tournament"
    n_retries: int = 100

    def __post_init__(self) -> None:
        for name in ("n_generations", "n_individuals", "n_elites", "n_retries"):
            if getattr(self, name) < 1:
                raise RecipeError(f"evolution.{name} = {getattr(self, name)!r} must be 1 or more.")
        if not 0 <= self.mutation_rate <= 1:
            raise RecipeError(f"evolution.mutation_rate = {self.mutation_rate!r} must be from 0 to 1.")
        if self.selection not in SELECTIONS:
            raise RecipeError(
                f"evolution.selection = {self.selection!r} is not known.{did_you_mean(self.selection, SELECTIONS)} "
                f"Known: {listing(SELECTIONS)}."
            )


class Evolution:
    """An evolutionary search.

    Args:
        space: the search space.
        seed: seed of all random decisions.
        settings: settings of the evolution.
        objectives: names of ``DIRECTIONS``. With one objective the elites are the best individuals; with several they
            are the first non-dominated fronts.
        credit: the strategy by which mutation prefers kinds of blocks; ``None`` means ``uniform``.

    Raises:
        RecipeError: the space is empty, or an objective is unknown.
        DeviceError: there are several objectives, and the library for them is not installed.

    Attributes:
        history: the finished generations.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        settings: EvolutionSettings | None = None,
        objectives: Sequence[str] = ("psnr",),
        credit: Credit | None = None,
    ) -> None:
        self.space = space
        self.seed = seed
        self.settings = settings or EvolutionSettings()
        self.credit = credit or Uniform()
        self.history: list[Generation] = []
        self._population = Population(Objectives(objectives), self.settings.n_elites)
        self._asked: set[tuple[str, ...]] = set()
        self._waiting: dict[int, Individual] = {}
        self._told: dict[int, Outcome] = {}
        self._known: dict[int, Scored] = {}
        self._tally = Tally(space)
        self._weights = space.prior
        self._exhausted = False
        space.check()

    @property
    def objectives(self) -> tuple[str, ...]:
        """Their names."""
        return self._population.objectives.names

    @property
    def done(self) -> bool:
        """Whether there is nothing more to ask, and nothing waited for."""
        return bool(self.why_done)

    @property
    def why_done(self) -> str:
        """Why there is nothing more to ask; empty while there is."""
        if self._waiting:
            return ""
        if len(self.history) >= self.settings.n_generations:
            return f"all {self.settings.n_generations} generations are done"
        return f"all {len(self._asked)} networks of the space have been evaluated" if self._exhausted else ""

    @property
    def archive(self) -> list[Told]:
        """All individuals so far that no other dominates, by number; with one objective, the best."""
        return [(each.individual, each.outcome) for each in self._population.archive]

    @property
    def best(self) -> Told | None:
        """The best individual so far in the first objective; ``None`` while all have failed."""
        archive = self._population.archive
        best = max(archive, key=lambda each: each.fitness) if archive else None
        return None if best is None else (best.individual, best.outcome)

    def ask(self) -> list[Individual]:
        """Return the individuals of the next generation; fewer, or none, if the space has no more networks.

        Raises:
            SrtrainError: outcomes of the last generation are missing.
        """
        if self._waiting:
            raise SrtrainError(
                f"the evolution was asked for the next generation, but generation {len(self.history)} is not "
                f"finished: it has not been told of individuals {listing(map(str, self._waiting))}."
            )
        if self.done:
            return []
        rng = np.random.default_rng((self.seed, len(self.history)))
        for place in range(self.settings.n_individuals):
            individual = self._new(place, rng)
            if individual is None:
                self._exhausted = True
                break
            self._asked.add(individual.blocks)
            self._waiting[individual.number] = individual
        return list(self._waiting.values())

    def tell(self, individual: Individual, outcome: Outcome) -> None:
        """Report the outcome of an individual; the order does not matter.

        Raises:
            SrtrainError: the individual was not asked for or has been reported before; an objective is missing or not
                finite; or all individuals of three generations in a row have failed.
        """
        number = individual.number
        if self._waiting.get(number) != individual or number in self._told:
            raise SrtrainError(
                f"the outcome of individual {number} was reported, but the evolution does not wait for it."
            )
        if not outcome.failed:
            wrong = [n for n in self.objectives if not math.isfinite(outcome.objectives.get(n, math.nan))]
            if wrong:
                raise SrtrainError(
                    f"individual {number} did not fail, but its outcome has no finite {listing(wrong)}: "
                    f"{dict(outcome.objectives)!r}."
                )
        self._told[number] = outcome
        if len(self._told) == len(self._waiting):
            members = [(self._waiting[n], self._told[n]) for n in sorted(self._waiting)]
            self._waiting, self._told = {}, {}
            self._finish(members)

    def _new(self, place: int, rng: np.random.Generator) -> Individual | None:
        """Return an individual whose blocks were not proposed before; ``None`` if the space has no more."""
        for _ in range(self.settings.n_retries):
            genome, origin, parents = self._breed(place, rng)
            if self.space.blocks(genome) not in self._asked:
                return self._individual(genome, origin, parents)
        # All feasible networks in random order: the first that is new, or the space has no more.
        for found in tails(self.space, genome, 0, self.space.prior, rng):
            if self.space.blocks(found) not in self._asked:
                return self._individual(found, "random", ())
        return None

    def _individual(self, genome: Genome, origin: str, parents: tuple[int, ...]) -> Individual:
        return Individual(
            len(self._asked), len(self.history), genome, self.space.blocks(genome), origin, parents
        )

    def _breed(self, place: int, rng: np.random.Generator) -> tuple[Genome, str, tuple[int, ...]]:
        """Return a genome, its origin and its parents. The first half of a generation is mutated, the rest crossed."""
        elites, pool = self._population.elites, self._population.pool
        if not pool:
            return draw(self.space, rng), "random", ()
        if place < (self.settings.n_individuals + 1) // 2 or len(pool) < 2:
            parent = elites[place % len(elites)].individual
            genome = mutate(self.space, parent.genome, self.settings.mutation_rate, self._weights, rng)
            return genome, "mutation", (parent.number,)
        first, second = self._population.two_parents(self.settings.selection, rng)
        genome = cross(self.space, first.individual.genome, second.individual.genome, self._weights, rng)
        return genome, "crossover", (first.individual.number, second.individual.number)

    def _finish(self, members: list[Told]) -> None:
        """Select the next parents and update the credit when a generation is complete."""
        scored = [
            Scored(individual, outcome, self._population.objectives.first(outcome))
            for individual, outcome in members
            if not outcome.failed
        ]
        self._known.update((each.individual.number, each) for each in scored)
        self._population.add(scored)
        self._tally.add(self.credit.samples(scored, self._known))
        self._weights = self.credit.weights(self.space, self._tally)
        self.history.append(
            Generation(
                tuple(members),
                tuple(each.individual.number for each in self._population.elites),
                dict(zip(self.space.names, (self._weights / self.space.prior).tolist(), strict=True)),
                self._population.hypervolume(),
            )
        )
        self._refuse_only_failures()

    def _refuse_only_failures(self) -> None:
        """Raise an error if all individuals of the last three generations have failed."""
        newest = self.history[-_MOST_FAILED_GENERATIONS:]
        outcomes = [outcome for generation in newest for _, outcome in generation.members]
        if len(newest) == _MOST_FAILED_GENERATIONS and all(outcome.failed for outcome in outcomes):
            reasons = Counter(outcome.reason for outcome in outcomes)
            said = "; ".join(f"{n} times: {reason}" for reason, n in reasons.most_common(3))
            raise SrtrainError(
                f"all {len(outcomes)} networks of the last {len(newest)} generations have failed. {said}"
            )
