"""A network as a function of NumPy arrays of any size."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from srtrain.arrays import Float32


class _AnySize(nn.Cell):
    """Runs a network as one graph, compiled once for all batch sizes, heights and widths."""

    def __init__(self, model: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32))

    def construct(self, lq: Tensor) -> Tensor:
        return self.model(lq)


class Upscaler:
    """Calls a network on NumPy arrays, without gradients. Later changes of the weights take effect."""

    def __init__(self, model: nn.Cell) -> None:
        self._cell = _AnySize(model)

    def __call__(self, lq: Float32) -> Float32:
        """Map float32 NCHW RGB in [0, 255] to the network's output, float32 and not clipped."""
        return np.asarray(self._cell(ms.Tensor(lq)).asnumpy())
