"""Batches as a MindSpore data set, which a device with a queue of its own is fed from without the host."""

from __future__ import annotations

import mindspore.dataset as ds

from srtrain.arrays import UInt8
from srtrain.data.loader import Loader
from srtrain.device.cores import usable_cores


class Batches:
    """The batches of a run from one step on, by number; each is what the loader says it is."""

    def __init__(self, loader: Loader, first_step: int, n_steps: int) -> None:
        self.loader = loader
        self.first_step = first_step
        self.n_steps = n_steps

    def __len__(self) -> int:
        return self.n_steps

    def __getitem__(self, i: int) -> tuple[UInt8, UInt8]:
        batch = self.loader.batch(self.first_step + int(i))
        return batch.lq, batch.gt


def batches_to_sink(loader: Loader, first_step: int, n_steps: int) -> ds.GeneratorDataset:
    """Return the batches of ``n_steps`` steps in their order, computed by the loader's number of threads."""
    source = Batches(loader, first_step, n_steps)
    return ds.GeneratorDataset(
        source,
        ["lq", "gt"],
        shuffle=False,
        num_parallel_workers=min(max(1, loader.workers), usable_cores()),  # MindSpore refuses more
        python_multiprocessing=False,
    )
