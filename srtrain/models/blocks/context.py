"""ESRN's block of type C."""

from __future__ import annotations

from mindspore import nn

from srtrain.errors import RecipeError
from srtrain.models import BLOCKS
from srtrain.models.blocks.dense import DenseBlock, ShrinkingDense


@BLOCKS.register("C")
class ContextBlock(DenseBlock):
    """Compresses the feature scale: works at half the size and applies each 3x3 convolution three times.

    Raises:
        RecipeError: the channels before the pixel shuffle are no multiple of 4.
    """

    halves = True
    """The block works at half the size, so height and width of its input must be even."""

    def __init__(self, n_in: int, n_convs: int, growth: int, n_out: int) -> None:
        super().__init__(n_in, growth, n_out)
        if (n_convs + 1) * growth % 4:
            raise RecipeError(f"a block of type C needs a growth that is a multiple of 4, not {growth}.")
        self.middle = nn.SequentialCell(
            nn.AvgPool2d(2, 2), ShrinkingDense(n_convs, growth, n_out, repeats=3, shuffle=2)
        )

    @staticmethod
    def receptive_px(n_convs: int) -> int:
        """Return the receptive radius of the block in pixels.

        One pixel of half the size covers two of the input, and the output pixel may be either of them; this adds 1.
        """
        return 2 * 3 * n_convs + 1
