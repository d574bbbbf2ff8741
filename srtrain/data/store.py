"""Decoded pictures of one data set: checked when it is opened, and each read in one line.

``cache="memory"`` decodes everything once into memory, ``"mmap"`` once into files that later runs find again
(`srtrain.data.cache`), and ``"none"`` decodes at every access.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import psutil

from srtrain.arrays import UInt8
from srtrain.data.cache import MappedPictures
from srtrain.data.degrade import Degrade
from srtrain.data.folders import Pair
from srtrain.data.header import Header, notices
from srtrain.data.parallel import in_parallel
from srtrain.data.picture import look, read_grey, read_rgb, size_of
from srtrain.data.resize import crop_to_multiple, make_lq
from srtrain.errors import DataError, counted, did_you_mean, listing

Size = tuple[int, int]
_log = logging.getLogger(__name__)

CACHES = ("memory", "mmap", "none")

_FIXED = 0  # seed of the degradations of benchmarks, whose scores must be comparable between runs


class Source(Protocol):
    """Where decoded pictures come from: uint8 HWC RGB, gt cropped to lq × scale."""

    def gt(self, i: int) -> UInt8:
        """Return a ground truth."""

    def lq(self, i: int) -> UInt8:
        """Return a low-resolution picture."""

    def release(self) -> None:
        """Let go of what was only kept for speed."""


class Pictures:
    """The pictures of a data set.

    Args:
        pairs: the files.
        scale: ground truth over low resolution.
        cache: one of ``CACHES``.
        cache_dir: folder for ``mmap``; ``None`` means the default.
        degrade: makes the low resolution instead of bicubic alone, the same at every access; for evaluation.
        grey: whether pictures are read as grey (see `read_grey`), for a network of one channel.

    Raises:
        DataError: no pairs, an unreadable file, a gt that is not lq × scale once cropped to a multiple of the
            scale, an unknown cache, a set that does not fit into memory, or files where ``degrade`` makes the low
            resolution.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        scale: int,
        cache: str = "memory",
        cache_dir: Path | None = None,
        degrade: Degrade | None = None,
        grey: bool = False,
    ) -> None:
        if not pairs:
            raise DataError("there are no pictures in this data set.")
        if cache not in CACHES:
            raise DataError(
                f"cache={cache!r} does not exist.{did_you_mean(cache, CACHES)} There are: {listing(CACHES)}."
            )
        self.pairs = list(pairs)
        self.scale = scale
        self.grey = grey
        once = list(dict.fromkeys(self.pairs))  # a mix lists a pair several times
        place = {pair: i for i, pair in enumerate(once)}
        self._place = [place[pair] for pair in self.pairs]
        files = sorted({path for pair in self.pairs for path in (pair.gt, pair.lq) if path is not None})
        headers = dict(zip(files, in_parallel(look, files), strict=True))
        for notice in notices(headers):
            _log.warning("%s", notice)
        sizes = [checked_lq_size(pair, scale, headers) for pair in once]
        self.lq_sizes = [sizes[i] for i in self._place]
        self._source: Source = DecodedAlways(once, scale, read_grey if grey else read_rgb)
        if cache == "memory":
            _refuse_if_too_large(sizes, scale)
            self._source = DecodedOnce(self._source, len(once))
        elif cache == "mmap":
            self._source = MappedPictures(once, scale, sizes, cache_dir, grey)
        if degrade is not None:
            refuse_lq_files(self.pairs)
            self._source = Degraded(self._source, scale, degrade, grey)

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, i: int) -> str:
        """Return the name of a picture, without folder and suffix."""
        return self.pairs[i].name

    def gt(self, i: int) -> UInt8:
        """Return a ground truth, uint8 HWC RGB, not to be written to.

        It is cropped at the bottom and right to lq × scale.
        """
        return self._source.gt(self._place[i])

    def lq(self, i: int) -> UInt8:
        """Return a low-resolution picture, uint8 HWC RGB, not to be written to."""
        return self._source.lq(self._place[i])

    def patch(self, i: int, y: int, x: int, lq_px: int) -> tuple[UInt8, UInt8]:
        """Return the (lq, gt) views of a square patch whose corner and side are in low-resolution pixels."""
        s = self.scale
        lq = self.lq(i)[y : y + lq_px, x : x + lq_px]
        gt = self.gt(i)[y * s : (y + lq_px) * s, x * s : (x + lq_px) * s]
        return lq, gt

    def release(self) -> None:
        """Give mapped pages back to the system; the views that `patch` returned stay valid."""
        self._source.release()


class Degraded:
    """Makes low resolution with degradations, the same at every access: they depend on the number of the picture."""

    def __init__(self, source: Source, scale: int, degrade: Degrade, grey: bool) -> None:
        self._source, self._scale, self._degrade, self._grey = source, scale, degrade, grey

    def gt(self, i: int) -> UInt8:
        """Return a ground truth."""
        return self._source.gt(i)

    def lq(self, i: int) -> UInt8:
        """Degrade a ground truth."""
        lq = self._degrade(self._source.gt(i), self._scale, np.random.default_rng((_FIXED, i)))
        return np.repeat(lq[..., :1], 3, axis=2) if self._grey else lq  # as in training: the first channel

    def release(self) -> None:
        """Let go of what the source keeps."""
        self._source.release()


class DecodedAlways:
    """Decodes the file at every access: no memory, no waiting at the start, slow."""

    def __init__(self, pairs: Sequence[Pair], scale: int, read: Callable[[Path], UInt8]) -> None:
        self._pairs = pairs
        self._scale = scale
        self._read = read

    def gt(self, i: int) -> UInt8:
        """Decode and crop a ground truth."""
        return crop_to_multiple(self._read(self._pairs[i].gt), self._scale)

    def lq(self, i: int) -> UInt8:
        """Decode a low-resolution picture, or make it from the ground truth."""
        pair = self._pairs[i]
        return make_lq(self._read(pair.gt), self._scale) if pair.lq is None else self._read(pair.lq)

    def release(self) -> None:
        """Nothing is kept."""


class DecodedOnce:
    """Everything in memory, decoded in parallel when built."""

    def __init__(self, source: Source, n_pictures: int) -> None:
        def both(i: int) -> tuple[UInt8, UInt8]:
            return np.ascontiguousarray(source.lq(i)), np.ascontiguousarray(source.gt(i))

        self._both = list(in_parallel(both, range(n_pictures), progress="decoding"))

    def gt(self, i: int) -> UInt8:
        """Return a ground truth."""
        return self._both[i][1]

    def lq(self, i: int) -> UInt8:
        """Return a low-resolution picture."""
        return self._both[i][0]

    def release(self) -> None:
        """Everything is kept."""


def refuse_lq_files(pairs: Iterable[Pair]) -> None:
    """Refuse low-resolution files where degradations make the low resolution.

    Raises:
        DataError: there is such a file.
    """
    files = [pair.lq for pair in pairs if pair.lq is not None]
    if files:
        raise DataError(
            f"degrade makes low resolution from the ground truth, but this data set reads it from files such as "
            f"{str(files[0])!r}. Set lr_type='on_the_fly', or remove degrade."
        )


def checked_lq_size(pair: Pair, scale: int, headers: dict[Path, Header]) -> Size:
    """Return the (height, width) in pixels of a pair's low resolution, as the files' headers say.

    Raises:
        DataError: a file cannot be read, or gt is not lq × scale.
    """
    gt = size_of(pair.gt, headers[pair.gt])
    wanted = (gt[0] // scale, gt[1] // scale)
    if min(wanted) < 1:
        raise DataError(
            f"picture {str(pair.gt)!r} is {gt[1]}×{gt[0]} px (width × height), which is too "
            f"small for x{scale}."
        )
    if pair.lq is None:
        return wanted
    lq = size_of(pair.lq, headers[pair.lq])
    if lq != wanted:
        raise DataError(
            f"the sizes of a pair do not match at x{scale}: ground truth {str(pair.gt)!r} is {gt[1]}×{gt[0]} px, so "
            f"its low resolution must be {wanted[1]}×{wanted[0]} px, but {str(pair.lq)!r} is {lq[1]}×{lq[0]} px. Is it "
            f"in the folder of another scale?"
        )
    return lq


def n_bytes(lq_sizes: Iterable[Size], scale: int) -> int:
    """Return how many bytes a set takes when decoded, lq and gt."""
    return sum(3 * height * width * (1 + scale * scale) for height, width in lq_sizes)


def _refuse_if_too_large(lq_sizes: Sequence[Size], scale: int) -> None:
    needed, free = n_bytes(lq_sizes, scale), free_memory_bytes()
    if needed > free:
        raise DataError(
            f"cache='memory' would need {needed / 1e9:.1f} GB ({needed} bytes) for "
            f"{counted(len(lq_sizes), 'picture')}, but {free / 1e9:.1f} GB are free. "
            f"Use data.cache=mmap, which stays on the disk, or fewer pictures."
        )


def free_memory_bytes() -> int:
    """Return how much memory can be taken without swapping, also inside a container with a limit."""
    free: int = psutil.virtual_memory().available
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()) != "max":
        free = min(free, max(int(text) - int(used.read_text()), 0))
    return free
