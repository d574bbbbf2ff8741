"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from srtrain.metrics import METRICS

PEAK = 255.0

EQUAL_DB = 100.0
"""What an infinite PSNR counts where the same pictures must be compared again and again: the best checkpoint, a search.

It is about the PSNR of a picture of 400 x 400 px in which a single value is wrong by 1.
"""


@METRICS.register
def psnr(sr: NDArray[np.float64], gt: NDArray[np.float64]) -> float:
    """Return the PSNR in dB, from one mean squared error over all pixels and channels.

    Args:
        sr: HWC in [0, 255]; a protocol has already converted the colour and cut the border.
        gt: the same shape.

    Returns:
        ``10 log10(255² / MSE)``; infinity for identical pictures, whose error is zero.
    """
    mean_squared_error = float(np.mean(np.square(sr - gt)))
    if mean_squared_error == 0.0:
        return math.inf
    return 10.0 * math.log10(PEAK * PEAK / mean_squared_error)
