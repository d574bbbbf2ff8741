"""The mean squared error."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from srtrain.trainer.losses import LOSSES


@LOSSES.register("mse")
class MSE(nn.Cell):
    """Mean squared difference."""

    def construct(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Return a scalar."""
        return ops.mean(ops.square(sr - gt))
