"""Choose the picture of sample (step, index) as a pure function of the seed; nothing has to be saved or replayed.

The training set is drawn without replacement, epoch by epoch: sample ``index`` of the global batch at ``step`` is entry
``step * batch_size + index`` of an endless list, in which every ``n_pictures`` entries are a permutation of the set.
Ranks, workers and resuming change only where and when a sample is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from srtrain.errors import DataError, counted

# Independent streams of random numbers of one seed; these numbers must never change.
_ORDER, _PLACE, _DEGRADE, _SCALE = 0, 1, 2, 3


@dataclass(frozen=True)
class Draw:
    """One sample: its place in the global batch, its picture, and three uniform random numbers in [0, 1)."""

    step: int
    index: int
    picture: int
    uniform: tuple[float, float, float]


class Sampler:
    """Draws the samples of one rank; the shares of all ranks together are the global batch.

    Raises:
        DataError: the set is empty, the seed is negative, or the ranks cannot share the batch equally.
    """

    def __init__(
        self, n_pictures: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if n_pictures < 1:
            raise DataError("the data set contains no picture.")
        if seed < 0:
            raise DataError(f"seed={seed!r} is negative; a seed must be 0 or more.")
        if batch_size < 1 or batch_size % world_size:
            raise DataError(
                f"batch_size={batch_size!r} is the batch of all ranks, but it cannot be divided equally among "
                f"{counted(world_size, 'rank')}. Use a multiple of {world_size}."
            )
        if not 0 <= rank < world_size:
            raise DataError(
                f"rank={rank!r} must be from 0 to {world_size - 1}, for {counted(world_size, 'rank')}."
            )
        self.n_pictures = n_pictures
        self.batch_size = batch_size
        self.seed = seed
        share = batch_size // world_size
        self.indices = range(rank * share, (rank + 1) * share)

    def draw(self, step: int) -> list[Draw]:
        """Return this rank's samples of a step, in the order of the global batch."""
        # Drawn for the whole global batch, row by row: row i does not depend on how many rows follow.
        uniform = np.random.default_rng((self.seed, _PLACE, step)).random((self.batch_size, 3)).tolist()
        return [Draw(step, i, self.picture(step, i), tuple(uniform[i])) for i in self.indices]

    def picture(self, step: int, index: int) -> int:
        """Return the number of the picture of sample ``index`` of the global batch at ``step``."""
        epoch, place = divmod(step * self.batch_size + index, self.n_pictures)
        return int(_permutation(self.n_pictures, self.seed, epoch)[place])

    def degrade_rng(self, draw: Draw) -> np.random.Generator:
        """Return the random generator for the degradation of a sample."""
        return np.random.default_rng((self.seed, _DEGRADE, draw.step, draw.index))


def turn_of(step: int, seed: int, n_scales: int) -> int:
    """Return which of the scales the batch of a step has: a uniform choice that depends on seed and step alone."""
    return int(np.random.default_rng((seed, _SCALE, step)).integers(n_scales))


def shard(n_pictures: int, rank: int, world_size: int) -> range:
    """Return the numbers of the pictures that one rank evaluates; each picture belongs to exactly one rank."""
    return range(rank, n_pictures, world_size)


@lru_cache(maxsize=8)
def _permutation(n_pictures: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(n_pictures)
