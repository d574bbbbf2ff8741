"""Subtraction and addition of the mean colour of the training pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn, ops

from srtrain.arrays import Float32

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of the DIV2K training pictures, RGB in [0, 1] (EDSR section 4.1)."""


class MeanShift(nn.Cell):
    """Adds a mean colour to NCHW pictures in [0, 255].

    Args:
        mean: the colour in [0, 1], a number for each channel.
        sign: 1 adds the mean, -1 subtracts it.
    """

    def __init__(self, mean: Sequence[float], sign: int) -> None:
        super().__init__()
        self.shift = Tensor(np.float32(sign * 255) * np.array(mean, np.float32).reshape(1, -1, 1, 1))

    def construct(self, x: Tensor) -> Tensor:
        """Return the shifted picture in the dtype of ``x``."""
        return x + ops.cast(self.shift, x.dtype)


class Normalise(nn.Cell):
    """Subtracts a mean colour in [0, 1] from NCHW pictures in [0, 255], and multiplies each channel by a factor."""

    def __init__(self, mean: Sequence[float], factor: Float32) -> None:
        super().__init__()
        self.subtract = MeanShift(mean, sign=-1)
        self.factor = Tensor(factor.reshape(1, -1, 1, 1))

    def construct(self, x: Tensor) -> Tensor:
        """Return the normalised picture in the dtype of ``x``."""
        return self.subtract(x) * ops.cast(self.factor, x.dtype)


class Denormalise(nn.Cell):
    """Undoes ``Normalise``."""

    def __init__(self, mean: Sequence[float], factor: Float32) -> None:
        super().__init__()
        self.add = MeanShift(mean, sign=1)
        self.factor = Tensor((1 / factor).reshape(1, -1, 1, 1))

    def construct(self, x: Tensor) -> Tensor:
        """Return NCHW in [0, 255], in the dtype of ``x``."""
        return self.add(x * ops.cast(self.factor, x.dtype))
