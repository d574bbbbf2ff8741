"""Batches of several scales, for networks such as MDSR."""

from __future__ import annotations

from collections.abc import Sequence

from srtrain.data.loader import Batch, BatchSource, Loader
from srtrain.data.sampler import turn_of
from srtrain.errors import DataError, counted


class ScalesLoader(BatchSource):
    """Batches of one scale each. Which scale that is depends on (seed, step) alone, so all ranks and a resume agree.

    Args:
        loaders: one for each scale, over the same pictures.
        seed: seed of the choice.

    Raises:
        DataError: the scales have different numbers of pictures.
    """

    def __init__(self, loaders: Sequence[Loader], seed: int) -> None:
        super().__init__(loaders[0].batch_size, loaders[0].workers)
        sizes = {loader.pictures.scale: len(loader.pictures) for loader in loaders}
        if len(set(sizes.values())) > 1:
            found = ", ".join(f"{counted(n, 'picture')} at x{scale}" for scale, n in sizes.items())
            raise DataError(f"the training set has {found}. All scales need the same pictures.")
        self.loaders = tuple(loaders)
        self.seed = seed

    def batch(self, step: int) -> Batch:
        """Compute this rank's share of a step's batch.

        Raises:
            DataError: a picture that cannot be decoded (only where nothing is cached).
        """
        return self.loaders[turn_of(step, self.seed, len(self.loaders))].batch(step)
