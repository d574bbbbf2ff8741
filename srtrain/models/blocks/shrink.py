"""ESRN's block of type S."""

from __future__ import annotations

from srtrain.models import BLOCKS
from srtrain.models.blocks.dense import DenseBlock, ShrinkingDense


@BLOCKS.register("S")
class ShrinkBlock(DenseBlock):
    """Compresses channels: a 1x1 convolution reduces the input of each 3x3 convolution to ``growth`` channels."""

    def __init__(self, n_in: int, n_convs: int, growth: int, n_out: int) -> None:
        super().__init__(n_in, growth, n_out)
        self.middle = ShrinkingDense(n_convs, growth, n_out)
