"""Batches of patches, ready a few steps ahead.

    with Loader(pictures, Sampler(len(pictures), batch_size=16, seed=1), gt_patch_px=192) as loader:
        loader.start(step)
        batch = loader.next()

`Loader.batch` is a pure function of the step; the threads only compute it early.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import cv2

from srtrain.arrays import UInt8
from srtrain.data.buffers import Buffers
from srtrain.data.degrade import Degrade
from srtrain.data.sampler import Draw, Sampler
from srtrain.data.store import Pictures, refuse_lq_files
from srtrain.data.transforms import N_TURNS, Place, place, turned
from srtrain.errors import DataError

__all__ = ["Batch", "BatchSource", "Loader", "Pictures", "Sample"]

Source = TypeVar("Source", bound="BatchSource")


@dataclass(frozen=True)
class Sample:
    """Where one row of a batch came from, for debugging."""

    name: str
    draw: Draw
    place: Place


@dataclass(frozen=True)
class Batch:
    """One rank's share of a step: ``lq`` and ``gt`` uint8 NCHW RGB (or N1HW of grey pictures), contiguous.

    They become float in the compiled update: a quarter of the bytes to write here and to bring to the device.

    The arrays belong to whoever took the batch; nothing writes to them again.
    """

    lq: UInt8
    gt: UInt8
    samples: tuple[Sample, ...]

    @property
    def names(self) -> list[str]:
        """The pictures that the rows were cut from."""
        return [sample.name for sample in self.samples]


class BatchSource(ABC):
    """Batches by step, computed ahead by threads.

    Args:
        batch_size: samples of one step, over all ranks together.
        workers: threads that compute batches ahead; with 0, each batch is computed when it is needed.
    """

    def __init__(self, batch_size: int, workers: int) -> None:
        self.batch_size = batch_size
        self.workers = workers
        self._executor: ThreadPoolExecutor | None = None
        self._ahead: deque[Future[Batch]] = deque()
        self._next_step: int | None = None

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """Compute this rank's share of a step's batch, a pure function of the step."""

    def start(self, step: int) -> None:
        """Begin to compute the batches from ``step`` on; what was computed before is dropped."""
        self.close()
        self._next_step = step
        if self.workers:
            self._executor = ThreadPoolExecutor(self.workers, thread_name_prefix="srtrain-data")
            for _ in range(self.workers + 1):
                self._submit()

    def next(self) -> Batch:
        """Return the batch of the next step, waiting for it where it is not ready.

        Raises:
            RuntimeError: `start` was not called.
            Exception: whatever a background thread met, with its own traceback.
        """
        if self._next_step is None:
            raise RuntimeError("Loader.next() before Loader.start(step)")
        if self._executor is None:
            self._next_step += 1
            return self.batch(self._next_step - 1)
        ready = self._ahead.popleft()
        self._submit()
        return ready.result()

    def close(self) -> None:
        """Stop the threads; returns when the batches in the making are done. Can be called again."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        self._executor = None
        self._ahead.clear()
        self._next_step = None

    def __enter__(self: Source) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _submit(self) -> None:
        assert self._executor is not None
        assert self._next_step is not None
        self._ahead.append(self._executor.submit(self.batch, self._next_step))
        self._next_step += 1


class Loader(BatchSource):
    """Cuts, turns and stacks patches. Those of grey pictures have one channel: the first one after degradation.

    Raises:
        DataError: a patch that the scale does not divide, or that is larger than a picture; low-resolution
            files where ``degrade`` makes low resolution itself.
    """

    def __init__(
        self,
        pictures: Pictures,
        sampler: Sampler,
        gt_patch_px: int,
        augment: bool = True,
        workers: int = 2,
        degrade: Degrade | None = None,
        turns: int = N_TURNS - 1,
    ) -> None:
        if gt_patch_px < pictures.scale or gt_patch_px % pictures.scale:
            low, scale = max(gt_patch_px // pictures.scale, 1) * pictures.scale, pictures.scale
            raise DataError(
                f"gt_patch_px={gt_patch_px!r} is not a multiple of the scale {scale}. The nearest multiples are "
                f"{low} and {low + scale}."
            )
        if workers < 0:
            raise DataError(
                f"workers={workers!r} must be 0 or more; with 0, each batch is computed when it is needed."
            )
        if degrade is not None:
            refuse_lq_files(pictures.pairs)
        super().__init__(sampler.batch_size, workers)
        self.lq_patch_px = gt_patch_px // pictures.scale
        _refuse_small_pictures(pictures, self.lq_patch_px)
        self.pictures = pictures
        self.sampler = sampler
        self.augment = augment
        self.turns = turns
        self.degrade = degrade
        # For each of lq and gt: those that wait, those in the making, and two that the trainer holds.
        self._buffers = Buffers(n_kept=2 * (2 * workers + 3))

    def batch(self, step: int) -> Batch:
        """Compute this rank's share of a step's batch.

        Raises:
            DataError: a picture that cannot be decoded (only where nothing is cached).
        """
        draws = self.sampler.draw(step)
        lq_px, gt_px = self.lq_patch_px, self.lq_patch_px * self.pictures.scale
        channels = 1 if self.pictures.grey else 3
        lq = self._buffers.take((len(draws), channels, lq_px, lq_px))
        gt = self._buffers.take((len(draws), channels, gt_px, gt_px))
        samples = []
        for row, draw in enumerate(draws):
            where = place(draw, self.pictures.lq_sizes[draw.picture], lq_px, self.augment, self.turns)
            patches = self._patches(draw, where)
            for patch, planes in zip(patches, (lq[row], gt[row]), strict=True):
                _into_planes(turned(patch, where.turn), planes)
            samples.append(Sample(self.pictures.name(draw.picture), draw, where))
        self.pictures.release()
        return Batch(lq, gt, tuple(samples))

    def _patches(self, draw: Draw, where: Place) -> tuple[UInt8, UInt8]:
        """Return the (lq, gt) of a sample, not turned yet."""
        scale, side = self.pictures.scale, self.lq_patch_px
        if self.degrade is None:
            return self.pictures.patch(draw.picture, where.y, where.x, side)
        whole = self.pictures.gt(draw.picture)
        lq = self.degrade.patch(whole, (where.y, where.x), side, scale, self.sampler.degrade_rng(draw))
        top, left = where.y * scale, where.x * scale
        return lq, whole[top : top + side * scale, left : left + side * scale]


def _into_planes(patch: UInt8, planes: UInt8) -> None:
    """Copy an HWC patch into CHW planes; OpenCV does it many times faster than a strided copy."""
    for channel in range(len(planes)):
        cv2.extractChannel(patch, channel, planes[channel])


def _refuse_small_pictures(pictures: Pictures, lq_px: int) -> None:
    small = [i for i, size in enumerate(pictures.lq_sizes) if min(size) < lq_px]
    if small:
        scale, (height, width) = pictures.scale, pictures.lq_sizes[small[0]]
        raise DataError(
            f"a patch of {lq_px * scale} px is larger than {len(small)} of {len(pictures)} pictures: "
            f"{pictures.name(small[0])!r} is {width * scale}×{height * scale} px (width × height). "
            f"Use a smaller data.gt_patch_px, or remove these pictures."
        )
