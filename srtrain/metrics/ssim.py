"""Structural similarity (Wang et al., IEEE Transactions on Image Processing 13(4), 2004)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from srtrain.errors import DataError
from srtrain.metrics import METRICS
from srtrain.metrics.psnr import PEAK

WINDOW_PX = 11
_RADIUS_PX = WINDOW_PX // 2
_SIGMA_PX = 1.5
# The constants (K L)² of section III-B of the paper, which avoid division by zero in flat regions.
_C1 = (0.01 * PEAK) ** 2
_C2 = (0.03 * PEAK) ** 2


@METRICS.register
def ssim(sr: NDArray[np.float64], gt: NDArray[np.float64]) -> float:
    """Return the mean SSIM in [-1, 1], channels averaged; identical pictures give 1.

    Only windows that lie completely inside the picture count, as in the authors' MATLAB code.

    Args:
        sr: HWC in [0, 255], at least 11 pixels high and wide; a protocol has already converted the colour and cut the
            border.
        gt: the same shape.

    Raises:
        DataError: the picture is smaller than one window.
    """
    height, width, n_channels = sr.shape
    if min(height, width) < WINDOW_PX:
        raise DataError(
            f"SSIM needs at least {WINDOW_PX} x {WINDOW_PX} pixels, but {height} x {width} (height x width) "
            f"are left of this picture. Leave it out of the benchmark, or measure PSNR alone."
        )
    # One channel at a time: the five blurred planes of a 2K picture are large in float64.
    return float(np.mean([_ssim_of_plane(sr[:, :, c], gt[:, :, c]) for c in range(n_channels)]))


def _ssim_of_plane(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x * mean_x
    variance_y = _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    alike_in_mean = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    alike_in_structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return float(np.mean(alike_in_mean * alike_in_structure))


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Gaussian mean of every 11 x 11 window; the result is 10 pixels smaller in each dimension."""
    kernel = cv2.getGaussianKernel(WINDOW_PX, _SIGMA_PX, cv2.CV_64F)
    blurred: NDArray[np.float64] = cv2.sepFilter2D(plane, cv2.CV_64F, kernel, kernel)
    return blurred[_RADIUS_PX:-_RADIUS_PX, _RADIUS_PX:-_RADIUS_PX]
