"""Degradations beyond bicubic: blur before downscaling; noise, JPEG and a Bayer mosaic after it.

    degrade = Degrade((DEGRADATIONS.build("blur", sigma_px=(0.2, 2)), DEGRADATIONS.build("jpeg", quality=(60, 95))))

Each sample draws its own strength from the range, with a generator that depends only on (seed, step, index).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from srtrain.arrays import UInt8
from srtrain.data import DEGRADATIONS
from srtrain.data.resize import imresize
from srtrain.errors import DataError

Range = float | Sequence[float]


class Degradation(Protocol):
    """One step, before downscaling or after it; ``margin_px`` is how many pixels around each pixel it reads.

    A step that treats pixels by their place repeats itself every ``multiple_px`` pixels, an optional attribute.
    """

    before_shrinking: bool
    margin_px: int

    def __call__(self, picture: UInt8, rng: np.random.Generator) -> UInt8:
        """Return the degraded picture, uint8 HWC RGB of the same shape."""


@DEGRADATIONS.register
class Blur:
    """Gaussian blur of the ground truth; sigma is in ground-truth pixels.

    Args:
        sigma_px: standard deviation in ground-truth pixels: a number, or the lowest and the highest
            value in [0, 100].
    """

    before_shrinking = True

    def __init__(self, sigma_px: Range) -> None:
        self.low, self.high = _range("blur", "sigma_px", sigma_px, 0, 100)
        self.margin_px = math.ceil(3 * self.high)

    def __call__(self, picture: UInt8, rng: np.random.Generator) -> UInt8:
        """Blur it, with mirrored borders."""
        sigma = rng.uniform(self.low, self.high)
        if sigma == 0:
            return picture
        side = 2 * self.margin_px + 1
        return cv2.GaussianBlur(picture, (side, side), sigma, borderType=cv2.BORDER_REFLECT)


@DEGRADATIONS.register
class Noise:
    """Gaussian noise on the low resolution; sigma is on the scale [0, 255]; ``grey`` noise is equal in all channels.

    Args:
        sigma: standard deviation on the scale [0, 255]: a number, or the lowest and the highest
            value.
        grey: whether the noise is equal in all channels.
    """

    before_shrinking = False
    margin_px = 0

    def __init__(self, sigma: Range, grey: bool = False) -> None:
        self.low, self.high = _range("noise", "sigma", sigma, 0, 255)
        self.grey = grey

    def __call__(self, picture: UInt8, rng: np.random.Generator) -> UInt8:
        """Add noise, round and clip."""
        sigma = rng.uniform(self.low, self.high)
        shape = (*picture.shape[:2], 1 if self.grey else picture.shape[2])
        noisy = picture + sigma * rng.standard_normal(shape, np.float32)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


@DEGRADATIONS.register
class Jpeg:
    """JPEG compression of the low resolution, with a quality from 1 to 100.

    Args:
        quality: JPEG quality from 1 to 100: a number, or the lowest and the highest value.
    """

    before_shrinking = False
    margin_px = 0  # its blocks of 8 px start at the corner of its input

    def __init__(self, quality: Range) -> None:
        self.low, self.high = _range("jpeg", "quality", quality, 1, 100)

    def __call__(self, picture: UInt8, rng: np.random.Generator) -> UInt8:
        """Compress and decompress it."""
        quality = int(rng.integers(round(self.low), round(self.high) + 1))
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        encoded = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
        return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@DEGRADATIONS.register
class Mosaic:
    """The picture as a sensor with a Bayer filter sees it: one colour for each pixel, the other two are 0.

    The order of the colours is RGGB, from the corner of the whole picture.
    """

    before_shrinking = False
    margin_px = 0
    multiple_px = 2

    def __call__(self, picture: UInt8, rng: np.random.Generator) -> UInt8:
        """Keep red at even rows and columns, blue at odd ones, and green at all others."""
        seen = np.zeros_like(picture)
        seen[::2, ::2, 0] = picture[::2, ::2, 0]
        seen[::2, 1::2, 1] = picture[::2, 1::2, 1]
        seen[1::2, ::2, 1] = picture[1::2, ::2, 1]
        seen[1::2, 1::2, 2] = picture[1::2, 1::2, 2]
        return seen


class Degrade:
    """Makes low resolution: the steps before downscaling, MATLAB's bicubic, the steps after it, in their order."""

    def __init__(self, steps: Sequence[Degradation]) -> None:
        self._before = [step for step in steps if step.before_shrinking]
        self._after = [step for step in steps if not step.before_shrinking]
        self._before_px = sum(step.margin_px for step in self._before)
        self._after_px = sum(step.margin_px for step in self._after)
        self._multiple_px = math.lcm(*(getattr(step, "multiple_px", 1) for step in steps))

    def __call__(self, gt: UInt8, scale: int, rng: np.random.Generator) -> UInt8:
        """Return the low resolution of a ground truth, uint8 HWC RGB; the scale must divide its sides."""
        for step in self._before:
            gt = step(gt, rng)
        lq = gt if scale == 1 else imresize(gt, 1 / scale)
        for step in self._after:
            lq = step(lq, rng)
        return lq

    def patch(
        self, gt: UInt8, corner: tuple[int, int], lq_px: int, scale: int, rng: np.random.Generator
    ) -> UInt8:
        """Return the low resolution of a square patch of a whole ground truth.

        The surroundings that the steps read are degraded with it, so that the patch has no border effects. ``corner``
        (y, x) and ``lq_px`` are in low-resolution pixels.
        """
        margin = 2 + math.ceil(self._before_px / scale) + self._after_px  # bicubic reads 2 lq pixels around
        sides = zip(corner, gt.shape[:2], strict=True)
        whole = self._multiple_px
        spans = [
            (max(at - margin, 0) // whole * whole, min(at + lq_px + margin, side // scale))
            for at, side in sides
        ]
        (top, bottom), (left, right) = spans
        around = gt[top * scale : bottom * scale, left * scale : right * scale]
        y, x = corner[0] - top, corner[1] - left
        return self(around, scale, rng)[y : y + lq_px, x : x + lq_px]


def _range(what: str, name: str, given: Range, lowest: float, highest: float) -> tuple[float, float]:
    """Return (low, high) of a number or a pair.

    Raises:
        DataError: it is neither, out of the allowed range, or low is above high.
    """
    values = tuple(given) if isinstance(given, (tuple, list)) else (given, given)
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if not numbers or len(values) != 2 or not lowest <= values[0] <= values[1] <= highest:
        raise DataError(
            f"degradation {what!r}: {name}={given!r} must be a number or a pair (low, high) within "
            f"{lowest} to {highest}."
        )
    return float(values[0]), float(values[1])
