"""Subtraction and addition of the mean colour of the training pictures."""

from __future__ import annotations

import numpy as np
from mindspore import Tensor, nn, ops

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of the DIV2K training pictures, RGB in [0, 1] (EDSR section 4.1)."""


class MeanShift(nn.Cell):
    """Adds a mean colour to NCHW RGB pictures in [0, 255].

    Args:
        mean: the colour, RGB in [0, 1].
        sign: 1 adds the mean, -1 subtracts it.
    """

    def __init__(self, mean: tuple[float, float, float], sign: int) -> None:
        super().__init__()
        self.shift = Tensor(np.float32(sign * 255) * np.array(mean, np.float32).reshape(1, 3, 1, 1))

    def construct(self, x: Tensor) -> Tensor:
        """Return the shifted picture in the dtype of ``x``."""
        return x + ops.cast(self.shift, x.dtype)


class Normalise(nn.Cell):
    """Maps NCHW RGB in [0, 255] to [0, 1] and subtracts a mean colour, RGB in [0, 1]."""

    def __init__(self, mean: tuple[float, float, float]) -> None:
        super().__init__()
        self.subtract = MeanShift(mean, sign=-1)

    def construct(self, x: Tensor) -> Tensor:
        """Return the normalised picture in the dtype of ``x``."""
        return self.subtract(x) / 255


class Denormalise(nn.Cell):
    """Undoes ``Normalise``."""

    def __init__(self, mean: tuple[float, float, float]) -> None:
        super().__init__()
        self.add = MeanShift(mean, sign=1)

    def construct(self, x: Tensor) -> Tensor:
        """Return NCHW RGB in [0, 255], in the dtype of ``x``."""
        return self.add(x * 255)
