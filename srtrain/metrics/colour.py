"""The luma channel Y, on which super-resolution papers measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# ITU-R BT.601 with studio swing, the coefficients of MATLAB's rgb2ycbcr: Y of black is 16, of white 235.
_Y_OF_RGB = np.array([65.481, 128.553, 24.966]) / 255.0
_Y_OF_BLACK = 16.0


_BRIGHTNESS = np.array([0.299, 0.587, 0.114])  # of BT.601, which leaves grey as it is


def brightness(rgb: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the brightness of RGB as a grey picture: Y of BT.601 with full swing, in the range of ``rgb``.

    Args:
        rgb: RGB in any range, channels last, any leading shape.

    Returns:
        The same leading shape. Three equal channels give their value.
    """
    return rgb.astype(np.float64) @ _BRIGHTNESS


def luma(rgb: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return Y of BT.601 as MATLAB's ``rgb2ycbcr`` defines it, not rounded.

    MATLAB rounds Y to an integer if its input is uint8. The published tables come from code that first converts
    pictures to floating point, so this function does not round.

    Args:
        rgb: RGB in [0, 255], channels last, any leading shape.

    Returns:
        The same leading shape, in [16, 235].
    """
    return _Y_OF_BLACK + rgb.astype(np.float64) @ _Y_OF_RGB
