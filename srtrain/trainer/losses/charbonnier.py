"""The Charbonnier loss."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from srtrain.trainer.losses import LOSSES


@LOSSES.register("charbonnier")
class Charbonnier(nn.Cell):
    """Mean of sqrt(d² + epsilon²): a smooth L1 (LapSRN, CVPR 2017, section 3.3).

    Args:
        epsilon: width of the smooth part around zero, in grey levels.
    """

    def __init__(self, epsilon: float = 0.255) -> None:
        super().__init__()
        self.epsilon_squared = epsilon * epsilon

    def construct(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Return a scalar."""
        return ops.mean(ops.sqrt(ops.square(sr - gt) + self.epsilon_squared))
