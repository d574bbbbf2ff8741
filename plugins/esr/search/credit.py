"""Block credit: estimate how much each kind of block contributes, and let mutation draw good kinds more often.

The paper describes block credit (Song et al., AAAI 2020). The public code does not contain it, and the text of the
paper was not available to us. The strategies here are OUR READING. ``uniform`` does what the public code does: no
credit.

A strategy turns a finished generation into samples. A sample is a kind of block and its contribution, in the unit of
the fitness. The weights of mutation follow from the means of these samples:

1. The mean of a type is pulled towards the mean of all samples, and the mean of a kind towards that of its type, as if
   there had been ``pseudo_count`` more samples with that value.
2. The prior is multiplied by ``exp(mean / (deviation * temperature))``, where the deviation is that of all samples. At
   temperature 1, a kind that is one deviation better becomes e times as likely.
3. The weights are ``1 - floor`` times the result plus ``floor`` times the prior, so every kind stays possible.
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
    """Sums over all samples so far, for each kind of a space."""

    def __init__(self, space: Space) -> None:
        self.index = space.index
        self.n, self.sum, self.sum_of_squares = np.zeros((3, len(space.kinds)))

    def add(self, samples: Iterable[tuple[str, float]]) -> None:
        """Add samples: each is the name of a kind and its contribution."""
        named = list(samples)
        kinds = np.array([self.index[name] for name, _ in named], np.int64)
        good = np.array([good for _, good in named], np.float64)
        for sums, each in ((self.n, np.ones_like(good)), (self.sum, good), (self.sum_of_squares, good**2)):
            sums += np.bincount(kinds, each, len(sums))


class Credit(ABC):
    """A credit strategy. It stores only settings; the search keeps the samples in a ``Tally``.

    Args:
        pseudo_count: number of samples at which the mean of a kind counts by half.
        temperature: lower values prefer good kinds more strongly.
        floor: share of the prior in the weights.
    """

    needs_drops: ClassVar[bool] = False
    """Whether the strategy needs ``Outcome.drops``, which take one more evaluation for each block."""

    def __init__(self, pseudo_count: float = 4.0, temperature: float = 0.5, floor: float = 0.2) -> None:
        for name, value, right in (
            ("pseudo_count", pseudo_count, pseudo_count > 0),
            ("temperature", temperature, temperature > 0),
            ("floor", floor, 0 < floor <= 1),
        ):
            if not right:
                most = " and at most 1" if name == "floor" else ""
                raise RecipeError(f"credit.{name} = {value!r} must be above 0{most}.")
        self.pseudo_count = pseudo_count
        self.temperature = temperature
        self.floor = floor

    @abstractmethod
    def samples(self, members: Sequence[Scored], known: Mapping[int, Scored]) -> Iterator[tuple[str, float]]:
        """Yield the samples of a finished generation: the name of a kind, and its contribution.

        Args:
            members: individuals of the generation that did not fail, in the order of their numbers.
            known: all individuals so far that did not fail, by number, including the members.
        """

    def weights(self, space: Space, tally: Tally) -> Float64:
        """Return the probability of each kind; the sum is 1."""
        n_samples = max(tally.n.sum(), 1)
        mean = tally.sum.sum() / n_samples
        variance = tally.sum_of_squares.sum() / n_samples - mean**2
        # Differences as small as rounding errors do not count.
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
    """No credit: kinds are drawn by their prior, as in the public code."""

    def samples(self, members: Sequence[Scored], known: Mapping[int, Scored]) -> Iterator[tuple[str, float]]:
        """Yield no samples."""
        yield from ()


@CREDITS.register
class Lineage(Credit):
    """Credit by descent (our reading): what children gain when they add a kind, and lose when they drop it.

    A child is compared with its first parent, from which it has most genes. Most children are worse than a parent that
    is an elite, so the gain is measured relative to the mean gain of the generation.
    """

    def samples(self, members: Sequence[Scored], known: Mapping[int, Scored]) -> Iterator[tuple[str, float]]:
        """Yield a sample for each kind of which a child has more or fewer blocks than its first parent."""
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
    """Credit by ablation (our reading): the PSNR that is lost when a block is bypassed.

    A block can be bypassed if its output is as wide as its input. Other kinds get the credit of their type.
    """

    needs_drops = True

    def samples(self, members: Sequence[Scored], known: Mapping[int, Scored]) -> Iterator[tuple[str, float]]:
        """Yield a sample for each block that was bypassed."""
        for member in members:
            if member.outcome.drops:
                for kind, drop in zip(member.individual.blocks, member.outcome.drops, strict=True):
                    if drop is not None:
                        yield kind, drop
