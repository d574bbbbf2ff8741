"""Losses between an output and its ground truth, both float32 NCHW RGB in [0, 255]."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from srtrain.registry import LOSSES


@LOSSES.register("l1")
class L1(nn.Cell):
    """Mean absolute difference (EDSR section 4.2 trains with it)."""

    def construct(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Return a scalar."""
        return ops.mean(ops.abs(sr - gt))


@LOSSES.register("charbonnier")
class Charbonnier(nn.Cell):
    """Mean of sqrt(d² + epsilon²): L1 with a smooth bottom (LapSRN, CVPR 2017, section 3.3)."""

    def __init__(self, epsilon: float = 0.255) -> None:
        super().__init__()
        self.epsilon_squared = epsilon * epsilon

    def construct(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Return a scalar."""
        return ops.mean(ops.sqrt(ops.square(sr - gt) + self.epsilon_squared))


@LOSSES.register("mse")
class MSE(nn.Cell):
    """Mean squared difference."""

    def construct(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Return a scalar."""
        return ops.mean(ops.square(sr - gt))
