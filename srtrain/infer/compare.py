"""The sheet that shows a picture beside its enlargements, for pictures without a ground truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from srtrain.arrays import UInt8
from srtrain.data.resize import imresize
from srtrain.evaluation.sheet import Panel, comparison_sheet

_SIDE_PX = 1024  # of the input; finding the detail takes 50 bytes per pixel


def compare_sheet(lq: NDArray[Any], sr: NDArray[Any], title: str) -> UInt8:
    """Show a picture beside its bicubic enlargement and the network's output, and the detail where they differ most.

    Of a large picture, only the middle is shown. Transparent parts are shown on white.

    Args:
        lq: uint8 or uint16; HW, or HWC with 2, 3 or 4 channels.
        sr: the output for ``lq``, with ``scale`` times the height and width.
        title: name of the network.
    """
    scale = sr.shape[0] // lq.shape[0]
    top, left = (max(0, (side - _SIDE_PX) // 2) for side in lq.shape[:2])
    lq = lq[top : top + _SIDE_PX, left : left + _SIDE_PX]
    sr = sr[top * scale : (top + _SIDE_PX) * scale, left * scale : (left + _SIDE_PX) * scale]
    small, large = _as_rgb(lq), _as_rgb(sr)
    panels = [
        Panel("input", small, f"{small.shape[1]} x {small.shape[0]}"),
        Panel("bicubic", imresize(small, scale), f"{large.shape[1]} x {large.shape[0]}"),
        Panel(title, large, f"{large.shape[1]} x {large.shape[0]}"),
    ]
    return comparison_sheet(panels, footer=f"The detail is where bicubic and {title} differ most.")


def _as_rgb(pixels: NDArray[Any]) -> UInt8:
    """Return a picture as 8-bit RGB on white."""
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    colours = pixels
    if pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1:].astype(np.uint32)
        colours = ((pixels[..., :-1] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(colours, (*colours.shape[:2], 3)))
