"""A network as a plain function of whole pictures of any size."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from srtrain.arrays import Float32


class _AnySize(nn.Cell):
    """Runs a network as a graph compiled once for all batches, heights and widths."""

    def __init__(self, model: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32))

    def construct(self, lq: Tensor) -> Tensor:
        return self.model(lq)


class Upscaler:
    """Calls a network on NumPy arrays, without gradients; it sees every later change of the weights."""

    def __init__(self, model: nn.Cell) -> None:
        self._cell = _AnySize(model)

    def __call__(self, lq: Float32) -> Float32:
        """Return the network's output, float32 NCHW RGB, for an input of the same kind in [0, 255]."""
        return np.asarray(self._cell(ms.Tensor(lq)).asnumpy())
