"""Subtract the mean colour of the training pictures, and add it again."""

from __future__ import annotations

import numpy as np
from mindspore import Tensor, nn, ops

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of the DIV2K training pictures, RGB in [0, 1] (EDSR section 4.1)."""


class MeanShift(nn.Cell):
    """Adds ``sign`` times a mean colour to RGB NCHW in [0, 255]."""

    def __init__(self, mean: tuple[float, float, float], sign: int) -> None:
        super().__init__()
        self.shift = Tensor(np.float32(sign * 255) * np.array(mean, np.float32).reshape(1, 3, 1, 1))

    def construct(self, x: Tensor) -> Tensor:
        """Return ``x`` shifted, in its own dtype."""
        return x + ops.cast(self.shift, x.dtype)
