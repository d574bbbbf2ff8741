"""What ESRN's blocks S, G and C share."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from srtrain.models.blocks.conv import conv
from srtrain.models.blocks.pixel_shuffle import PixelShuffle


class DenseBlock(nn.Cell):
    """A 1x1 convolution at the entry, a dense middle, and a residual around both.

    The entry convolution exists only where ``n_in`` differs from ``growth``. The residual is the input where
    ``n_in == n_out``, else the input of the middle where ``growth == n_out``, else the input through a 1x1 convolution.
    A derived class sets ``middle``, which maps ``growth`` channels to ``n_out``.

    A search may skip a block whose attributes ``n_in`` and ``n_out`` are equal.

    Args:
        n_in: input channels.
        n_convs: number of 3x3 convolutions.
        growth: channels of each convolution.
        n_out: output channels.
    """

    def __init__(self, n_in: int, growth: int, n_out: int) -> None:
        super().__init__()
        self.n_in, self.n_out = n_in, n_out
        self.enters = n_in != growth
        self.keeps_input = n_in == n_out
        self.keeps_entered = not self.keeps_input and growth == n_out
        if self.enters:
            self.enter = conv(n_in, growth, 1)
        if not self.keeps_input and not self.keeps_entered:
            self.residual = conv(n_in, n_out, 1)

    @staticmethod
    def receptive_px(n_convs: int) -> int:
        """Return the receptive radius of the block in pixels."""
        return n_convs

    def construct(self, x: Tensor) -> Tensor:
        """Map (N, n_in, H, W) to (N, n_out, H, W)."""
        y = x
        if self.enters:
            y = self.enter(x)
        if self.keeps_input:
            return x + self.middle(y)
        if self.keeps_entered:
            return y + self.middle(y)
        return self.residual(x) + self.middle(y)


class ShrinkingDense(nn.Cell):
    """The dense middle of the blocks S and C.

    For c = 1..n, a 3x3 convolution and ReLU add ``growth`` channels to the concatenation; a 1x1 convolution then
    reduces the (c+1)·growth channels to ``growth`` for the next 3x3 convolution.

    Args:
        n_convs: number n of 3x3 convolutions.
        growth: channels that each of them adds.
        n_out: channels of the output.
        repeats: how many times each 3x3 convolution and its ReLU are applied.
        shuffle: factor of a pixel shuffle before the last convolution; 1 for none.
    """

    def __init__(self, n_convs: int, growth: int, n_out: int, repeats: int = 1, shuffle: int = 1) -> None:
        super().__init__()
        self.repeats = repeats
        self.convs = nn.CellList([conv(growth, growth) for _ in range(n_convs)])
        self.shrinks = nn.CellList([conv((c + 1) * growth, growth, 1) for c in range(1, n_convs)])
        self.up = PixelShuffle(shuffle) if shuffle > 1 else nn.Identity()
        self.leave = conv((n_convs + 1) * growth // shuffle**2, n_out, 1)

    def construct(self, y: Tensor) -> Tensor:
        """Map (N, growth, H, W) to (N, n_out, H·shuffle, W·shuffle)."""
        dense = y
        for c in range(len(self.convs)):
            if c > 0:
                y = self.shrinks[c - 1](dense)
            for _ in range(self.repeats):
                y = ops.relu(self.convs[c](y))
            dense = ops.concat((dense, y), 1)
        return self.leave(self.up(dense))
