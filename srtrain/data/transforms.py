"""Position and orientation of a patch: pure functions of a sample, the same for lq and gt."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from srtrain.data.sampler import Draw

N_TURNS = 8
"""Number of orientations of a square: two flips and a transposition, each done or not."""

HFLIP, VFLIP, ROT90 = 1, 2, 4
"""The bits of an orientation."""


@dataclass(frozen=True)
class Place:
    """The top left corner of a patch in low-resolution pixels, and its orientation ``turn`` in [0, 8)."""

    y: int
    x: int
    turn: int


def place(draw: Draw, lq_size: tuple[int, int], lq_px: int, augment: bool, turns: int = N_TURNS - 1) -> Place:
    """Choose the patch of a sample, uniformly over all positions.

    With ``augment``, its orientation is chosen too, uniformly over those that consist of the bits in ``turns``.
    """
    v, u, w = draw.uniform
    y = int(v * (lq_size[0] - lq_px + 1))
    x = int(u * (lq_size[1] - lq_px + 1))
    return Place(y, x, int(w * N_TURNS) & turns if augment else 0)


def turned(patch: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """Return an HWC patch in the orientation ``turn``; 0 is the patch itself.

    Flips and 90° turns as in EDSR (section 4.1): bit 0 mirrors left to right, bit 1 top to bottom, then bit 2
    transposes; one mirror and transposing make a 90° turn.
    """
    if turn & 3:
        patch = cv2.flip(patch, {1: 1, 2: 0, 3: -1}[turn & 3])
    if turn & 4:
        # Transposing reads column by column, which is faster from a compact copy than from rows far apart.
        patch = cv2.transpose(np.ascontiguousarray(patch))
    return patch
