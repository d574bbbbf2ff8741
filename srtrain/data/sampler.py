"""Which picture is sample (step, index): pure functions of the seed, so nothing has to be saved or replayed.

The training set is drawn without replacement, epoch after epoch: sample ``index`` of the global batch at
``step`` stands at place ``step * batch_size + index`` of one endless list, and each run of ``n_pictures``
places in it is a permutation of its own. Ranks, workers and resuming only change who computes it, and when.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from srtrain.errors import DataError, counted

# The streams of random numbers that hang on one seed; the numbers keep them apart and must never change.
_ORDER, _PLACE, _DEGRADE = 0, 1, 2


@dataclass(frozen=True)
class Draw:
    """One sample: its place in the global batch, its picture, and three uniform numbers of its own."""

    step: int
    index: int
    picture: int
    uniform: tuple[float, float, float]


class Sampler:
    """Draws the samples of one rank; the ranks' shares are disjoint and make up the global batch.

    Raises:
        DataError: an empty set, a negative seed, or a batch that the ranks cannot share equally.
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
        """Return which picture sample ``index`` of the global batch at ``step`` is cut from."""
        epoch, place = divmod(step * self.batch_size + index, self.n_pictures)
        return int(_permutation(self.n_pictures, self.seed, epoch)[place])

    def degrade_rng(self, draw: Draw) -> np.random.Generator:
        """Return the generator that degrading a sample draws from."""
        return np.random.default_rng((self.seed, _DEGRADE, draw.step, draw.index))


def shard(n_pictures: int, rank: int, world_size: int) -> range:
    """Return the pictures that one rank evaluates: over all ranks each picture exactly once."""
    return range(rank, n_pictures, world_size)


@lru_cache(maxsize=8)
def _permutation(n_pictures: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(n_pictures)
