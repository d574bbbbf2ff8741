"""The evolution: asks for networks to be evaluated, is told what came of them, and breeds the next ones.

    while not evolution.done:
        for individual in evolution.ask():  # a whole generation, in any order, anywhere
            evolution.tell(individual, outcome_of(individual.blocks))

It knows no trainer, and no network is asked for twice. Nothing is saved, because it is a pure function of the space,
the settings, the seed, and of the outcome of each row of blocks: a search is resumed by running a new one with the old
outcomes, which asks for the same networks and is in the same state, bit for bit.
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
    """How it breeds; what stands here is the authors' published configuration.

    Attributes:
        n_generations: the random one at the start is the first of them.
        n_individuals: new ones in a generation.
        n_elites: the best so far, which are kept with what is known of them.
        mutation_rate: probability for each bit to flip and each kind to be drawn anew.
        selection: ``tournament`` or ``roulette``: how the parents of a crossover are found.
        n_retries: how often a child is bred anew that was asked for before; then a new network is taken at random.

    Raises:
        RecipeError: a value that makes no sense.
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
                raise RecipeError(f"evolution.{name} = {getattr(self, name)!r} has to be 1 or more.")
        if not 0 <= self.mutation_rate <= 1:
            raise RecipeError(f"evolution.mutation_rate = {self.mutation_rate!r} has to be from 0 to 1.")
        if self.selection not in SELECTIONS:
            raise RecipeError(
                f"evolution.selection = {self.selection!r} is not known.{did_you_mean(self.selection, SELECTIONS)} "
                f"There are: {listing(SELECTIONS)}."
            )


class Evolution:
    """A search.

    Args:
        space: what is searched.
        seed: of all that is random.
        settings: how it breeds.
        objectives: names of ``DIRECTIONS``. With one, elites are the best; with several, the foremost fronts.
        credit: which kinds mutation prefers; ``uniform`` where there is none.

    Raises:
        RecipeError: an empty space, or objectives that are none.
        DeviceError: several objectives, and the library for them is missing.

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
        """Of all told so far, those that no other dominates, by number; with one objective, the best."""
        return [(each.individual, each.outcome) for each in self._population.archive]

    @property
    def best(self) -> Told | None:
        """The best in the first objective so far; ``None`` while all have failed."""
        archive = self._population.archive
        best = max(archive, key=lambda each: each.fitness) if archive else None
        return None if best is None else (best.individual, best.outcome)

    def ask(self) -> list[Individual]:
        """Return the individuals of the next generation; fewer, or none, where the space has no more.

        Raises:
            SrtrainError: some of the last ones have not been told of.
        """
        if self._waiting:
            raise SrtrainError(
                f"the evolution was asked for generation {len(self.history)} and has not been told of individuals "
                f"{listing(map(str, self._waiting))} of it."
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
        """Say what came of an individual that was asked for; the order does not matter.

        Raises:
            SrtrainError: it was not asked for or has been told of, an objective is missing or is no finite number, or
                three generations have failed one after the other, whole.
        """
        number = individual.number
        if self._waiting.get(number) != individual or number in self._told:
            raise SrtrainError(f"individual {number} is told of, and is none of those that are waited for.")
        if not outcome.failed:
            wrong = [n for n in self.objectives if not math.isfinite(outcome.objectives.get(n, math.nan))]
            if wrong:
                raise SrtrainError(
                    f"individual {number} is said not to have failed, and has no finite {listing(wrong)}: "
                    f"{dict(outcome.objectives)!r}."
                )
        self._told[number] = outcome
        if len(self._told) == len(self._waiting):
            members = [(self._waiting[n], self._told[n]) for n in sorted(self._waiting)]
            self._waiting, self._told = {}, {}
            self._finish(members)

    def _new(self, place: int, rng: np.random.Generator) -> Individual | None:
        """Return an individual whose blocks are new; ``None`` when there is none left."""
        for _ in range(self.settings.n_retries):
            genome, origin, parents = self._breed(place, rng)
            if self.space.blocks(genome) not in self._asked:
                return self._individual(genome, origin, parents)
        # Of one network more than were asked for, one is new, or the space has no more.
        for found in tails(self.space, genome, 0, self.space.prior, rng):
            if self.space.blocks(found) not in self._asked:
                return self._individual(found, "random", ())
        return None

    def _individual(self, genome: Genome, origin: str, parents: tuple[int, ...]) -> Individual:
        return Individual(
            len(self._asked), len(self.history), genome, self.space.blocks(genome), origin, parents
        )

    def _breed(self, place: int, rng: np.random.Generator) -> tuple[Genome, str, tuple[int, ...]]:
        """Return a genome, how it came to be, and its parents: the first half mutated elites, the others crossed."""
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
        """Choose the next parents and learn credit from a generation that is complete."""
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
        """Give up where nothing has worked for three generations."""
        newest = self.history[-_MOST_FAILED_GENERATIONS:]
        outcomes = [outcome for generation in newest for _, outcome in generation.members]
        if len(newest) == _MOST_FAILED_GENERATIONS and all(outcome.failed for outcome in outcomes):
            reasons = Counter(outcome.reason for outcome in outcomes)
            said = "; ".join(f"{n} times: {reason}" for reason, n in reasons.most_common(3))
            raise SrtrainError(
                f"all {len(outcomes)} networks of the last {len(newest)} generations have failed. {said}"
            )
