"""Bicubic resizing as MATLAB's ``imresize`` does it, to the bit.

Every published super-resolution table rests on low-resolution pictures made by that function. OpenCV's bicubic
shrinks without its antialiasing and rounds once, which makes other pictures and another PSNR.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

# OpenCV rounds halves to even and MATLAB away from zero. This lifts an exact half, and is smaller than the
# distance of any other sum (see _precise_enough) to the next half.
_TIES_UP = 2.0**-13
# Rows and columns of one product, both measured: small enough for the cache and for OpenBLAS to use its kernels
# for small matrices and one thread.
_BAND_ROWS = 6
_STRIP_COLUMNS = 3072

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
        raise ValueError(f"imresize wants uint8 or float HW or HWC, not {picture.dtype} {picture.shape}")
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
    """Return the bicubic low resolution of a ground truth, cropped first as `crop_to_multiple` does."""
    return imresize(crop_to_multiple(gt, scale), 1 / scale)


def _factors(
    old: tuple[int, ...], scale: float | None, shape: tuple[int, int] | None
) -> tuple[tuple[float, float], tuple[int, int]]:
    if (scale is None) == (shape is None):
        raise ValueError(f"imresize wants either scale or shape, not scale={scale!r} and shape={shape!r}")
    if shape is None:
        factor = float(scale or 0)
        factors, shape = (factor, factor), (math.ceil(old[0] * factor), math.ceil(old[1] * factor))
    else:
        factors = (shape[0] / max(old[0], 1), shape[1] / max(old[1], 1))
    if min(*shape, *old) < 1:
        raise ValueError(f"imresize cannot make {shape} px (height, width) of {old[:2]} px: nothing is left")
    return factors, shape


def _resize_axis(picture: Pixels, axis: int, n_out: int, factor: float) -> Pixels:
    """Resize the rows (axis 0) or the columns; columns by way of a transposed picture, which is faster."""
    if axis == 1:
        return _transposed(_resize_axis(_transposed(picture), 0, n_out, factor))
    lines = picture.reshape(picture.shape[0], -1)
    bands = _bands(lines.shape[0], n_out, factor, _precise_enough(picture.dtype, factor))
    resized = np.empty((n_out, lines.shape[1]), picture.dtype)
    for start in range(0, lines.shape[1], _STRIP_COLUMNS):
        strip = slice(start, start + _STRIP_COLUMNS)
        _multiply(bands, lines[:, strip], resized[:, strip])
    return resized.reshape(n_out, *picture.shape[1:])


def _multiply(bands: Sequence[Band], lines: Pixels, resized: Pixels) -> None:
    """Fill ``resized`` a few rows at a time, so that the floats in between never leave the cache."""
    kind = bands[0].weights.dtype
    n_rows = max(band.weights.shape[1] for band in bands)
    floats = np.empty((n_rows, lines.shape[1]), kind)
    all_sums = np.empty((_BAND_ROWS, lines.shape[1]), kind)
    for band in bands:
        n_sums, n_used = band.weights.shape
        sums, source = all_sums[:n_sums], floats[:n_used]
        np.copyto(source, lines[band.first_in : band.first_in + n_used])
        np.matmul(band.weights, source, out=sums)
        target = resized[band.first_out : band.first_out + n_sums]
        if target.dtype != np.uint8:
            target[...] = sums
        elif kind == np.float32:
            np.maximum(sums, 0, out=sums)
            cv2.convertScaleAbs(sums, target, 1, _TIES_UP)  # rounds, clips at 255
        else:
            np.copyto(target, np.clip(np.floor(sums + 0.5), 0, 255), casting="unsafe")


def _transposed(picture: Pixels) -> Pixels:
    """Swap rows and columns of an HW or HWC picture into a new one."""
    if picture.ndim == 2 or picture.shape[2] <= 4:
        return cv2.transpose(picture).reshape(picture.shape[1], picture.shape[0], *picture.shape[2:])
    return np.ascontiguousarray(picture.swapaxes(0, 1))


def _precise_enough(kind: np.dtype[Any], factor: float) -> np.dtype[Any]:
    """Return the precision that gives the exact 8-bit picture.

    Enlarging or shrinking by 2 or 4 has weights that are multiples of 1/4096, and by 3 of 1/81, so a sum
    over 8-bit pixels is exact in float32, or at least 1/162 away from where rounding changes. For other
    factors nothing of the kind is known.
    """
    simple = factor in (2.0, 3.0, 4.0, 1 / 2, 1 / 3, 1 / 4)
    return np.dtype(np.float32 if kind == np.float32 or (kind == np.uint8 and simple) else np.float64)


@dataclass(frozen=True)
class Band:
    """A few rows of the matrix that resizes one dimension: dense weights over the input rows they need."""

    first_out: int
    first_in: int
    weights: NDArray[np.floating[Any]]


@lru_cache(maxsize=64)
def _bands(n_in: int, n_out: int, factor: float, kind: np.dtype[Any]) -> tuple[Band, ...]:
    """Return the (n_out, n_in) matrix that resizes one dimension; it is zero outside these bands."""
    shrink = min(factor, 1.0)
    n_taps = math.ceil(4 / shrink) + 2
    centre = (np.arange(n_out) + 0.5) / factor - 0.5
    first = np.floor(centre - 2 / shrink).astype(np.int64)
    taps = first[:, None] + np.arange(n_taps)
    weights = _cubic((centre[:, None] - taps) * shrink)
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.mod(taps, 2 * n_in)
    mirrored = np.minimum(mirrored, 2 * n_in - 1 - mirrored)
    bands = []
    for start in range(0, n_out, _BAND_ROWS):
        columns, values = mirrored[start : start + _BAND_ROWS], weights[start : start + _BAND_ROWS]
        used = columns[values != 0]
        dense = np.zeros((len(columns), used.max() + 1 - used.min()))
        inside = values != 0  # taps of weight zero may lie outside the band
        rows = np.broadcast_to(np.arange(len(columns))[:, None], columns.shape)
        np.add.at(dense, (rows[inside], columns[inside] - used.min()), values[inside])
        bands.append(Band(start, int(used.min()), dense.astype(kind)))
    return tuple(bands)


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5, zero beyond 2."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
