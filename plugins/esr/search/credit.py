"""Block credit: how much good a kind of block does, learnt while networks are evaluated, to draw good ones more often.

The paper has it (Song et al., AAAI 2020) and no public code does; the paper's text was not available to us. What is
here is OUR READING of it, in three strategies. ``uniform`` is what the public code does: no credit.

A strategy turns a finished generation into samples, each a kind of block and how much good it did there, in the unit
of the fitness. The weights are made of the means of these samples. A type's mean is shrunk towards the mean of all,
and a kind's towards its type's, as if ``pseudo_count`` samples had said so before. Then the prior is multiplied by
``exp(mean / (deviation * temperature))``, where the deviation is that of all samples: at a temperature of 1, a kind
that is one deviation better is e times as likely. Of the result ``1 - floor`` is taken, and of the prior ``floor``, so
that no kind dies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from srtrain.errors import RecipeError
from srtrain.registry import Registry

from .selection import Scored
from .space import Float64, Space

CREDITS = Registry("credit strategy", __name__)


class Tally:
    """The samples so far, summed up for each kind of a space."""

    def __init__(self, space: Space) -> None:
        self.index = space.index
        self.n, self.sum, self.sum_of_squares = np.zeros((3, len(space.kinds)))

    def add(self, samples: Iterable[tuple[str, float]]) -> None:
        """Count samples, each the name of a kind and how much good it did."""
        named = list(samples)
        kinds = np.array([self.index[name] for name, _ in named], np.int64)
        good = np.array([good for _, good in named], np.float64)
        for sums, each in ((self.n, np.ones_like(good)), (self.sum, good), (self.sum_of_squares, good**2)):
            sums += np.bincount(kinds, each, len(sums))


class Credit(ABC):
    """A strategy. It holds settings alone; what a search has learnt is in its tally.

    Args:
        pseudo_count: samples that a mean needs before it is believed by half.
        temperature: the less, the more a good kind is preferred.
        floor: share of the prior that every kind keeps.
    """

    needs_drops: ClassVar[bool] = False
    """Whether it wants ``Outcome.drops``, which cost an evaluation a block."""

    def __init__(self, pseudo_count: float = 4.0, temperature: float = 0.5, floor: float = 0.2) -> None:
        for name, value, right in (
            ("pseudo_count", pseudo_count, pseudo_count > 0),
            ("temperature", temperature, temperature > 0),
            ("floor", floor, 0 < floor <= 1),
        ):
            if not right:
                most = " and at most 1" if name == "floor" else ""
                raise RecipeError(f"credit.{name} = {value!r} has to be above 0{most}.")
        self.pseudo_count = pseudo_count
        self.temperature = temperature
        self.floor = floor

    @abstractmethod
    def samples(self, members: Sequence[Scored], known: Mapping[int, Scored]) -> Iterator[tuple[str, float]]:
        """Yield what a finished generation says: the name of a kind, and how much good it did.

        Args:
            members: of the generation, by number, without those that failed.
            known: everybody so far by number, the members too.
        """

    def weights(self, space: Space, tally: Tally) -> Float64:
        """Return how likely each kind is to be drawn; they sum to 1."""
        n_samples = max(tally.n.sum(), 1)
        mean = tally.sum.sum() / n_samples
        variance = tally.sum_of_squares.sum() / n_samples - mean**2
        # What rounding leaves of equal samples is no difference.
        if variance <= 1e-12 * mean**2:
            return space.prior
        _, type_of = np.unique([kind.type for kind in space.kinds], return_inverse=True)
        beyond = tally.sum - tally.n * mean
        of_type = np.bincount(type_of, beyond) / (np.bincount(type_of, tally.n) + self.pseudo_count)
        shrunk = (beyond + self.pseudo_count * of_type[type_of]) / (tally.n + self.pseudo_count)
        preference = shrunk / (np.sqrt(variance) * self.temperature)
        earned = space.prior * np.exp(preference - preference.max())
        weights: Float64 = (1 - self.floor) * earned / earned.sum() + self.floor * space.prior
        return weights


@CREDITS.register
class Uniform(Credit):
    """No credit: kinds are drawn by their prior, as the public code does."""

    def samples(self, members: Sequence[Scored], known: Mapping[int, Scored]) -> Iterator[tuple[str, float]]:
        """Yield nothing."""
        yield from ()


@CREDITS.register
class Lineage(Credit):
    """By descent, our reading: a kind is worth the fitness that children gained with it, and that they lost without it.

    A child is compared with its first parent, which it has most from. Since most children are worse than a parent that
    is an elite, whatever they gained, the gain counts from the mean gain of the generation.
    """

    def samples(self, members: Sequence[Scored], known: Mapping[int, Scored]) -> Iterator[tuple[str, float]]:
        """Yield one sample for each kind that a child has more or fewer blocks of than its first parent."""
        pairs = [(child, known[child.individual.parents[0]]) for child in members if child.individual.parents]
        gains = [child.fitness - parent.fitness for child, parent in pairs]
        expected = sum(gains) / max(len(gains), 1)
        for (child, parent), gain in zip(pairs, gains, strict=True):
            more = Counter(child.individual.blocks)
            more.subtract(parent.individual.blocks)
            for kind, difference in more.items():
                if difference:
                    yield kind, (gain - expected) if difference > 0 else (expected - gain)


@CREDITS.register
class Ablation(Credit):
    """By taking away, our reading: a block is worth the PSNR that is lost when it is bypassed.

    That can be said of blocks whose output has the width of their input; other kinds have the credit of their type.
    """

    needs_drops = True

    def samples(self, members: Sequence[Scored], known: Mapping[int, Scored]) -> Iterator[tuple[str, float]]:
        """Yield one sample for each block that was bypassed."""
        for member in members:
            if member.outcome.drops:
                for kind, drop in zip(member.individual.blocks, member.outcome.drops, strict=True):
                    if drop is not None:
                        yield kind, drop
