"""The L1 loss."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from srtrain.trainer.losses import LOSSES


@LOSSES.register("l1")
class L1(nn.Cell):
    """Mean absolute difference (EDSR section 4.2 trains with it)."""

    def construct(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Return a scalar."""
        return ops.mean(ops.abs(sr - gt))
