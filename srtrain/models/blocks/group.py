"""ESRN's block of type G."""

from __future__ import annotations

import math

from mindspore import Tensor, nn, ops

from srtrain.errors import RecipeError
from srtrain.models import BLOCKS
from srtrain.models.blocks.channel_shuffle import ChannelShuffle
from srtrain.models.blocks.conv import conv
from srtrain.models.blocks.dense import DenseBlock


@BLOCKS.register("G")
class GroupBlock(DenseBlock):
    """Compresses convolutions: they work in groups, on shuffled channels."""

    def __init__(self, n_in: int, n_convs: int, growth: int, n_out: int) -> None:
        super().__init__(n_in, growth, n_out)
        self.middle = GroupedDense(n_convs, growth, n_out)


class GroupedDense(nn.Cell):
    """The dense middle of block G.

    For c = 1..n: shuffle the channels in c groups, convolve (3x3, c·growth to growth channels, min(4, 2^⌊log2 c⌋)
    groups), apply ReLU and concatenate.

    Raises:
        RecipeError: the growth cannot be divided into the groups.
    """

    def __init__(self, n_convs: int, growth: int, n_out: int) -> None:
        super().__init__()
        if growth % 4 and n_convs >= 4:
            raise RecipeError(
                f"a block of type G with 4 or more convolutions needs a growth that is a multiple of 4, not {growth}."
            )
        self.shuffles = nn.CellList([ChannelShuffle(c * growth, c) for c in range(2, n_convs + 1)])
        self.convs = nn.CellList(
            [conv(c * growth, growth, groups=min(4, 2 ** int(math.log2(c)))) for c in range(1, n_convs + 1)]
        )
        self.leave = conv((n_convs + 1) * growth, n_out, 1)

    def construct(self, y: Tensor) -> Tensor:
        """Map (N, growth, H, W) to (N, n_out, H, W)."""
        dense = ops.concat((y, ops.relu(self.convs[0](y))), 1)
        for c in range(1, len(self.convs)):
            y = ops.relu(self.convs[c](self.shuffles[c - 1](dense)))
            dense = ops.concat((dense, y), 1)
        return self.leave(dense)
