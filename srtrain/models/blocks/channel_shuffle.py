"""ShuffleNet's channel shuffle."""

from __future__ import annotations

from mindspore import Tensor, nn, ops


class ChannelShuffle(nn.Cell):
    """Interleaves groups of channels as ShuffleNet does: (a, b, c, d) in 2 groups becomes (a, c, b, d)."""

    def __init__(self, n_channels: int, n_groups: int) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.n_groups = n_groups

    def construct(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) with its channels in the new order."""
        n, c, h, w = ops.shape(x)
        x = ops.reshape(x, (n, self.n_groups, c // self.n_groups, h, w))
        return ops.reshape(ops.transpose(x, (0, 2, 1, 3, 4)), (n, c, h, w))
