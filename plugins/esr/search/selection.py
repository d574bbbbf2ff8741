"""Ranking of individuals with one or several objectives, and the selection of parents.

With one objective, the better value wins; if values are equal, the older individual wins. With several objectives,
individuals are sorted into non-dominated fronts, and within a front by the hypervolume that only they contribute.
moocore computes fronts and hypervolumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from srtrain.errors import DeviceError, RecipeError, did_you_mean, listing

from .repair import pick
from .space import Float64
from .types import DIRECTIONS, Individual, Outcome

SELECTIONS = ("tournament", "roulette")


@dataclass(frozen=True)
class Scored:
    """An individual that did not fail. ``fitness`` is the first objective with the sign that makes larger better."""

    individual: Individual
    outcome: Outcome
    fitness: float


class Objectives:
    """The objectives of a search, by their names in ``DIRECTIONS``. All values here have signs that make larger better.

    Raises:
        RecipeError: no name, an unknown name, or a repeated name.
        DeviceError: there are several objectives, and moocore is not installed.
    """

    def __init__(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in DIRECTIONS:
                raise RecipeError(
                    f"there is no objective {name!r}.{did_you_mean(name, DIRECTIONS)} Known: {listing(DIRECTIONS)}."
                )
        if not names or len(set(names)) < len(names):
            raise RecipeError(
                f"objectives = {tuple(names)!r} must name at least one objective, and each only once."
            )
        self.names = tuple(names)
        self.signs = np.array([DIRECTIONS[name] for name in names], np.float64)
        if self.several:
            _moocore()

    @property
    def several(self) -> bool:
        """Whether there is more than one objective."""
        return len(self.names) > 1

    def values(self, outcomes: Sequence[Outcome]) -> Float64:
        """Return an array of shape (outcomes, objectives), with signs that make larger better."""
        rows = [[outcome.objectives[name] for name in self.names] for outcome in outcomes]
        return np.array(rows, np.float64).reshape(len(rows), len(self.names)) * self.signs

    def first(self, outcome: Outcome) -> float:
        """Return the value of the first objective, with the sign that makes larger better."""
        return float(self.signs[0] * outcome.objectives[self.names[0]])

    def order(self, values: Float64) -> list[int]:
        """Return the indices of the rows, best first; equal rows keep their order."""
        if not self.several:
            return np.argsort(-values[:, 0], kind="stable").tolist()
        ranks = _moocore().pareto_rank(values, maximise=True)
        alone = np.zeros(len(values))
        for rank in np.unique(ranks):
            front = np.flatnonzero(ranks == rank)
            alone[front] = _contributions(values[front])
        return np.lexsort((-alone, ranks)).tolist()

    def front(self, values: Float64) -> NDArray[np.intp]:
        """Return the rows that no other row dominates; with one objective, the first of the best rows."""
        if not self.several:
            return values[:, 0].argmax(keepdims=True)
        return np.flatnonzero(_moocore().is_nondominated(values, maximise=True, keep_weakly=True))


class Yardstick:
    """The scale of the hypervolume. The first generation fixes it: its worst values and its spreads.

    Each objective is measured from the worst value of that generation, in units of the distance to its best value. The
    hypervolume of the first generation is therefore at most 1. Values below the worst add nothing.

    Args:
        values: values of the first generation, with signs that make larger better.
    """

    def __init__(self, values: Float64) -> None:
        self.worst: Float64 = values.min(axis=0)
        spread = values.max(axis=0) - self.worst
        # If all values are equal, the spread is 0; use the size of the value instead.
        self.spread = np.where(spread > 0, spread, np.maximum(np.abs(self.worst), 1.0))

    def hypervolume(self, values: Float64) -> float:
        """Return the volume that the values dominate."""
        return float(_moocore().hypervolume((values - self.worst) / self.spread, ref=0.0, maximise=True))


class Population:
    """The possible parents: the elites and the newest generation.

    Attributes:
        pool: all possible parents, best first.
        archive: all individuals so far that no other dominates, in the order of arrival; with one objective, the best.
    """

    def __init__(self, objectives: Objectives, n_elites: int) -> None:
        self.objectives = objectives
        self.n_elites = n_elites
        self.pool: list[Scored] = []
        self.archive: list[Scored] = []
        self._fitness = np.empty(0)
        self._yardstick: Yardstick | None = None

    @property
    def elites(self) -> list[Scored]:
        """The best of the pool, best first."""
        return self.pool[: self.n_elites]

    def add(self, generation: Sequence[Scored]) -> None:
        """Replace the last generation, and keep the elites."""
        pool = [*self.elites, *generation]
        if not pool:
            return
        values = self._values(pool)
        order = self.objectives.order(values)
        self.pool = [pool[place] for place in order]
        # With several objectives an individual has no single value, only a rank.
        places = np.arange(len(pool), dtype=np.float64)[::-1]
        self._fitness = places if self.objectives.several else values[order, 0]
        candidates = [*self.archive, *generation]
        self.archive = [candidates[place] for place in self.objectives.front(self._values(candidates))]
        if self._yardstick is None:
            self._yardstick = Yardstick(values)

    def hypervolume(self) -> float | None:
        """Return the hypervolume of the archive; ``None`` with one objective, or while all individuals have failed."""
        if self._yardstick is None or not self.objectives.several:
            return None
        return self._yardstick.hypervolume(self._values(self.archive))

    def two_parents(self, selection: str, rng: np.random.Generator) -> tuple[Scored, Scored]:
        """Return two different individuals of the pool."""
        first, second = two_parents(selection, self._fitness, rng)
        return self.pool[first], self.pool[second]

    def _values(self, scored: Sequence[Scored]) -> Float64:
        return self.objectives.values([each.outcome for each in scored])


def two_parents(selection: str, fitness: Float64, rng: np.random.Generator) -> tuple[int, int]:
    """Return the indices of two different parents; a larger fitness makes the selection more likely.

    ``tournament`` takes the better of two random individuals. With ``roulette`` the probability is proportional to the
    fitness above the lowest fitness, plus a small share for all, so that equal individuals have equal probabilities.
    """
    places = np.arange(len(fitness))
    first = _one(selection, fitness, rng)
    others = np.delete(places, first)
    return first, int(others[_one(selection, fitness[others], rng)])


def _one(selection: str, fitness: Float64, rng: np.random.Generator) -> int:
    if len(fitness) == 1:
        return 0
    if selection == "tournament":
        a, b = rng.choice(len(fitness), 2, replace=False).tolist()
        return int(a if fitness[a] >= fitness[b] else b)
    above = fitness - fitness.min()
    share = above + above.max() / len(above) if above.max() > 0 else np.ones(len(above))
    return int(pick(rng, share)[0])


def _contributions(front: Float64) -> Float64:
    """Return the hypervolume that only this row contributes, in units of the spread; -1 for a repeated row."""
    unique, first = np.unique(front, axis=0, return_index=True)
    spread = unique.max(axis=0) - unique.min(axis=0)
    unit = (unique - unique.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    alone = np.full(len(front), -1.0)
    # The reference point is below the worst values, so that the ends of the front contribute too.
    alone[first] = _moocore().hv_contributions(unit, ref=-0.1, maximise=True)
    return alone


def _moocore() -> ModuleType:
    try:
        import moocore
    except ImportError as error:
        raise DeviceError(
            "several objectives need the package moocore: pip install 'srtrain[esr]'."
        ) from error
    module: ModuleType = moocore
    return module
