"""Transparency: networks upscale colours only, so alpha is handled separately."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from srtrain.data.resize import imresize

Pixels = NDArray[Any]


def fill_hidden(colours: Pixels, alpha: Pixels) -> Pixels:
    """Replace the colours of fully transparent pixels by the colour of the nearest visible pixel.

    Programs store any colour there, often black. A network would spread it over the edge, which would be visible as a
    rim.

    Args:
        colours: HWC.
        alpha: HW; 0 is fully transparent.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return colours
    _, nearest = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colour_of = np.zeros((int(nearest.max()) + 1, colours.shape[2]), colours.dtype)
    colour_of[nearest[~hidden]] = colours[~hidden]
    filled: Pixels = colour_of[nearest]
    return filled


def enlarge_alpha(alpha: Pixels, scale: int) -> Pixels:
    """Enlarge HW alpha by bicubic interpolation; uint8, uint16, or floating point in [0, 1]."""
    if alpha.dtype == np.uint8:
        return imresize(np.ascontiguousarray(alpha), scale)
    enlarged = imresize(alpha.astype(np.float32), scale)
    if alpha.dtype.kind == "f":
        return np.clip(enlarged, 0, 1).astype(alpha.dtype)
    return np.rint(np.clip(enlarged, 0, np.iinfo(alpha.dtype).max)).astype(alpha.dtype)
