"""Batches as a MindSpore data set: a device with a queue of its own reads it without the host."""

from __future__ import annotations

from typing import Any

import mindspore.dataset as ds
from numpy.typing import NDArray

from srtrain.data.loader import BatchSource
from srtrain.device.cores import usable_cores
from srtrain.trainer.update import arrays_of


class Batches:
    """The arrays of the loader's batches, by number, counted from ``first_step``."""

    def __init__(self, loader: BatchSource, first_step: int, n_steps: int) -> None:
        self.loader = loader
        self.first_step = first_step
        self.n_steps = n_steps

    def __len__(self) -> int:
        return self.n_steps

    def __getitem__(self, i: int) -> tuple[NDArray[Any], ...]:
        return tuple(arrays_of(self.loader.batch(self.first_step + int(i))).values())


def batches_to_sink(loader: BatchSource, first_step: int, n_steps: int) -> ds.GeneratorDataset:
    """Return the batches of ``n_steps`` steps in their order, computed by ``loader.workers`` threads."""
    return ds.GeneratorDataset(
        Batches(loader, first_step, n_steps),
        list(arrays_of(loader.batch(first_step))),
        shuffle=False,
        num_parallel_workers=min(max(1, loader.workers), usable_cores()),  # MindSpore refuses more
        python_multiprocessing=False,
    )
