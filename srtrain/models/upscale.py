"""A network as a function of NumPy arrays of any size."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from srtrain.arrays import Float32
from srtrain.models.ensemble import channels_of, of_channels


class _AnySize(nn.Cell):
    """Runs a network as one graph, compiled once for all batch sizes, heights and widths."""

    def __init__(self, model: nn.Cell, scale: int) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.scale = scale
        self.set_inputs(Tensor(shape=[None, channels_of(model), None, None], dtype=ms.float32))

    def construct(self, lq: Tensor) -> Tensor:
        return self.model(lq, self.scale) if self.scale else self.model(lq)


class Upscaler:
    """Calls a network on NumPy arrays, without gradients. Later changes of the weights take effect.

    Args:
        model: the network.
        scale: the scale to run a network for several scales at; 0 means the one that it was built with.
    """

    def __init__(self, model: nn.Cell, scale: int = 0) -> None:
        self._cell = _AnySize(model, scale)
        self._upscale = of_channels(self._run, channels_of(model))

    def __call__(self, lq: Float32) -> Float32:
        """Map float32 NCHW RGB in [0, 255] to the network's output, float32 and not clipped."""
        return self._upscale(lq)

    def _run(self, lq: Float32) -> Float32:
        return np.asarray(self._cell(ms.Tensor(lq)).asnumpy())


def upscalers(model: nn.Cell) -> dict[int, Upscaler]:
    """Return a network for several scales as a function for each scale; empty for any other network."""
    return {scale: Upscaler(model, scale) for scale in getattr(model, "scales", ())}
