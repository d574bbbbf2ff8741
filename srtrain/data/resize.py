"""Bicubic resizing as MATLAB's ``imresize`` does it, to the bit.

Every published super-resolution table rests on low-resolution pictures made by that function. OpenCV's bicubic
shrinks without its antialiasing and rounds once, which makes other pictures and another PSNR.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

# Work that a thread takes at a time, measured: 0.1 to 0.2 ms, whose rows stay in the cache of a core.
_PIECE_PRODUCTS = 1_600_000

Pixels = TypeVar("Pixels", NDArray[np.uint8], NDArray[np.float32], NDArray[np.float64])


def imresize(picture: Pixels, scale: float | None = None, *, shape: tuple[int, int] | None = None) -> Pixels:
    """Resize an HW or HWC picture by a factor, or to (height, width).

    The kernel is bicubic with a = -0.5, widened by 1/scale when shrinking; borders are mirrored. A uint8
    picture is rounded and clipped after each dimension, as MATLAB does; a float picture is neither.

    Raises:
        ValueError: neither or both of ``scale`` and ``shape``, an empty result, or other numbers than
            uint8, float32 and float64.
    """
    if picture.dtype not in (np.uint8, np.float32, np.float64) or picture.ndim not in (2, 3):
        raise ValueError(
            f"imresize expects uint8 or float arrays of shape HW or HWC, got {picture.dtype} {picture.shape}"
        )
    factors, shape = _factors(picture.shape[:2], scale, shape)
    result = picture
    for axis in np.argsort(factors, kind="stable"):  # MATLAB begins where it shrinks most; rows on a tie
        result = _resize_axis(result, int(axis), shape[axis], factors[axis])
    return np.ascontiguousarray(result)


def crop_to_multiple(picture: Pixels, scale: int) -> Pixels:
    """Cut the bottom and right of a picture until the scale divides its sides; returns a view."""
    height, width = (side // scale * scale for side in picture.shape[:2])
    return picture[:height, :width]


def make_lq(gt: Pixels, scale: int) -> Pixels:
    """Return the bicubic low resolution of a ground truth, cropped first as `crop_to_multiple` does; at x1, itself."""
    return gt if scale == 1 else imresize(crop_to_multiple(gt, scale), 1 / scale)


def _factors(
    old: tuple[int, ...], scale: float | None, shape: tuple[int, int] | None
) -> tuple[tuple[float, float], tuple[int, int]]:
    if (scale is None) == (shape is None):
        raise ValueError(f"imresize expects either scale or shape, got scale={scale!r} and shape={shape!r}")
    if shape is None:
        factor = float(scale or 0)
        factors, shape = (factor, factor), (math.ceil(old[0] * factor), math.ceil(old[1] * factor))
    else:
        factors = (shape[0] / max(old[0], 1), shape[1] / max(old[1], 1))
    if min(*shape, *old) < 1:
        raise ValueError(
            f"imresize cannot make {shape} px (height, width) from {old[:2]} px: the result is empty"
        )
    return factors, shape


def _resize_axis(picture: Pixels, axis: int, n_out: int, factor: float) -> Pixels:
    """Resize the rows (axis 0) or the columns, in pieces that threads share."""
    taps, weights = _bands(picture.shape[axis], n_out, factor, _precise_enough(picture.dtype, factor))
    picture = np.ascontiguousarray(picture)
    shape: tuple[int, ...] = (*picture.shape[:axis], n_out, *picture.shape[axis + 1 :])
    resized = np.empty(shape, picture.dtype)

    def resize(piece: slice) -> None:
        if axis == 0:
            _sum_rows(picture, taps[piece], weights[piece], resized[piece])
        else:  # columns are the rows of the transposed picture
            width, height = picture.shape[1], len(resized[piece])
            source = np.empty((width, height, *shape[2:]), picture.dtype)
            target = np.empty((n_out, height, *shape[2:]), picture.dtype)
            _transpose(picture[piece], source)
            _sum_rows(source, taps, weights, target)
            _transpose(target, resized[piece])

    n_products = weights.shape[1] * resized[0].size * min(picture.itemsize, 2)  # floats fill a cache sooner
    step = 16 * max(1, _PIECE_PRODUCTS // (16 * n_products))  # rows that fill the processor's vectors
    _share([slice(start, start + step) for start in range(0, len(resized), step)], resize)
    return resized


def _share(pieces: Sequence[slice], work: Callable[[slice], None]) -> None:
    """Work on every piece, in as many threads as OpenCV would use, this one among them."""
    todo = iter(pieces)

    def work_on() -> None:
        for piece in todo:  # each thread takes the next
            work(piece)

    n_helpers = min(len(pieces), cv2.getNumThreads()) - 1
    helpers = [_threads(os.getpid()).submit(work_on) for _ in range(n_helpers)]
    work_on()
    for helper in helpers:
        helper.result()


@lru_cache(maxsize=1)
def _threads(process: int) -> ThreadPoolExecutor:
    """Return the threads of this process: after a fork, those of the parent are not there."""
    return ThreadPoolExecutor(thread_name_prefix=f"imresize-{process}")


def _transpose(picture: Pixels, result: Pixels) -> None:
    """Fill ``result`` with the HW or HWC picture, rows and columns swapped."""
    if picture.ndim == 2 or picture.shape[2] <= 4:
        cv2.transpose(picture, result)
    else:
        result[...] = picture.swapaxes(0, 1)


def _sum_rows(
    picture: Pixels, taps: NDArray[np.int64], weights: NDArray[np.floating[Any]], resized: Pixels
) -> None:
    """Fill ``resized`` with weighted sums of the picture's rows."""
    lines = picture.reshape(len(picture), -1)
    lines.flags.writeable = False  # always: the loops are compiled again for every other kind of array
    limits = (0.5, 0, 255) if picture.dtype == np.uint8 else (0, -np.inf, np.inf)
    _compiled()(lines, taps, weights, np.array(limits, weights.dtype), resized.reshape(len(resized), -1))


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None]:
    """Compile `_sum_lines` for this processor, or load what an earlier run compiled."""
    from numba import njit  # here, because it takes half a second

    # "contract" multiplies and adds in one instruction.
    try:
        return njit(_sum_lines, nogil=True, fastmath={"contract"}, cache=True)
    except RuntimeError:  # neither the folder of this file nor the user's cache can be written
        return njit(_sum_lines, nogil=True, fastmath={"contract"})


def _sum_lines(
    lines: NDArray[Any],
    taps: NDArray[np.int64],
    weights: NDArray[Any],
    limits: NDArray[Any],
    resized: NDArray[Any],
) -> None:
    """Sum four rows at a time, each times its weight; with the last four, clip and round (offset and cast)."""
    offset, low, high = limits
    sums = np.empty(lines.shape[1], weights.dtype)
    last = taps.shape[1] - 4
    for i in range(len(resized)):
        row = resized[i]
        sums[:] = offset
        for k in range(0, last + 1, 4):
            a, b = lines[taps[i, k]], lines[taps[i, k + 1]]
            c, d = lines[taps[i, k + 2]], lines[taps[i, k + 3]]
            wa, wb, wc, wd = weights[i, k], weights[i, k + 1], weights[i, k + 2], weights[i, k + 3]
            if k < last:
                for x in range(len(sums)):
                    sums[x] = sums[x] + wa * a[x] + wb * b[x] + wc * c[x] + wd * d[x]
            else:
                for x in range(len(sums)):
                    row[x] = min(max(sums[x] + wa * a[x] + wb * b[x] + wc * c[x] + wd * d[x], low), high)


def _precise_enough(kind: np.dtype[Any], factor: float) -> np.dtype[Any]:
    """Return the precision that gives the exact 8-bit picture.

    Enlarging or shrinking by 2 or 4 has weights that are multiples of 1/4096, and by 3 of 1/81, so a sum
    over 8-bit pixels is exact in float32, or at least 1/162 away from where rounding changes. For other
    factors nothing of the kind is known.
    """
    simple = factor in (2.0, 3.0, 4.0, 1 / 2, 1 / 3, 1 / 4)
    return np.dtype(np.float32 if kind == np.float32 or (kind == np.uint8 and simple) else np.float64)


@lru_cache(maxsize=64)
def _bands(
    n_in: int, n_out: int, factor: float, kind: np.dtype[Any]
) -> tuple[NDArray[np.int64], NDArray[np.floating[Any]]]:
    """Return the banded (n_out, n_in) matrix that resizes one dimension: per row its columns, and their weights."""
    shrink = min(factor, 1.0)
    n_taps = math.ceil(4 / shrink) + 2
    centre = (np.arange(n_out) + 0.5) / factor - 0.5
    first = np.floor(centre - 2 / shrink).astype(np.int64)
    taps = first[:, None] + np.arange(n_taps)
    weights = _cubic((centre[:, None] - taps) * shrink)
    weights /= weights.sum(axis=1, keepdims=True)
    used = weights != 0
    start = used.argmax(axis=1)
    n_used = int((n_taps - used[:, ::-1].argmax(axis=1) - start).max())
    columns = start[:, None] + np.arange(-(-n_used // 4) * 4)  # whole fours, the rest weighs nothing
    weights = np.take_along_axis(np.pad(weights, ((0, 0), (0, columns.shape[1]))), columns, axis=1)
    mirrored = np.mod(first[:, None] + columns, 2 * n_in)
    return np.minimum(mirrored, 2 * n_in - 1 - mirrored), weights.astype(kind)


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5, zero beyond 2."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
