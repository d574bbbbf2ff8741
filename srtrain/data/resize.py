"""Bicubic resizing as MATLAB's ``imresize`` does it, to the bit.

Every published super-resolution table rests on low-resolution pictures made by that function. OpenCV and
PIL shrink without its antialiasing or round elsewhere, which moves a PSNR by tenths of a decibel.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

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
    lines = picture.swapaxes(0, axis)
    weights = _weights(lines.shape[0], n_out, factor)
    sums = weights @ lines.reshape(lines.shape[0], -1).astype(np.float64)
    if picture.dtype == np.uint8:
        sums += 0.5  # with the truncation of astype: half away from zero, as MATLAB rounds
        np.clip(sums, 0, 255, out=sums)
    resized: Pixels = sums.astype(picture.dtype).reshape(n_out, *lines.shape[1:])
    return resized.swapaxes(0, axis)


@lru_cache(maxsize=64)
def _weights(n_in: int, n_out: int, factor: float) -> scipy.sparse.csr_matrix:
    """Return the (n_out, n_in) matrix, a narrow band, that resizes one dimension."""
    shrink = min(factor, 1.0)
    n_taps = math.ceil(4 / shrink) + 2
    centre = (np.arange(n_out) + 0.5) / factor - 0.5
    first = np.floor(centre - 2 / shrink).astype(np.int64)
    taps = first[:, None] + np.arange(n_taps)
    weights = _cubic((centre[:, None] - taps) * shrink)
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.mod(taps, 2 * n_in)
    mirrored = np.minimum(mirrored, 2 * n_in - 1 - mirrored)
    rows = np.repeat(np.arange(n_out), n_taps)
    band = scipy.sparse.csr_matrix((weights.ravel(), (rows, mirrored.ravel())), shape=(n_out, n_in))
    band.eliminate_zeros()
    return band


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5, zero beyond 2."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
