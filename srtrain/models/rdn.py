"""RDN: Residual Dense Network for Image Super-Resolution (Zhang et al., CVPR 2018), which ESRN is derived from."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from mindspore import Tensor, nn, ops

from srtrain.errors import RecipeError
from srtrain.models import MODELS
from srtrain.models.blocks import PictureNetwork, Upsampler, conv, last_convolution, upsampler_to_picture


@MODELS.register("rdn", from_run=("scale",))
class RDN(PictureNetwork):
    """Two convolutions, a row of residual dense blocks, a fusion of the outputs of all blocks, and an upsampler.

    The defaults are the paper's final network (section 5.1): 22.1 M parameters at x2.

    Args:
        scale: 2, 3 or 4; 1 leaves out the upsampler, for denoising and other tasks that keep the size.
        n_blocks: number of residual dense blocks, D in the paper.
        n_convs: 3x3 convolutions of each block, C in the paper.
        growth: channels that each of them adds, G in the paper.
        n_feats: channels outside of the blocks, G0 in the paper.

    Raises:
        RecipeError: no blocks or convolutions, or a scale that is not supported.
    """

    variants: ClassVar[dict[str, dict[str, int]]] = {
        "RDN": {"n_blocks": 16, "n_convs": 8, "growth": 64, "n_feats": 64}
    }
    """The network of the paper by name, with its arguments (section 5.1)."""

    scale_dependent = ("upsampler.",)
    linear_end = ("upsampler", "add_mean")  # as in EDSR

    def __init__(
        self,
        scale: int,
        n_blocks: int = 16,
        n_convs: int = 8,
        growth: int = 64,
        n_feats: int = 64,
        **pictures: Any,
    ) -> None:
        super().__init__(**pictures)
        if min(n_blocks, n_convs) < 1:
            raise RecipeError(
                f"an RDN needs at least one block of one convolution; model.n_blocks is {n_blocks!r} and "
                f"model.n_convs is {n_convs!r}."
            )
        self.head = conv(self.n_colors, n_feats)
        self.enter = conv(n_feats, n_feats)
        self.blocks = nn.CellList([ResidualDenseBlock(n_feats, n_convs, growth) for _ in range(n_blocks)])
        self.fuse = nn.SequentialCell(conv(n_blocks * n_feats, n_feats, 1), conv(n_feats, n_feats))
        self.upsampler = upsampler_to_picture(scale, n_feats, self.n_colors, growth)

    @classmethod
    def ends(cls, scale: int) -> tuple[str, str]:
        """Return the names of the first and the last convolution."""
        return "head", last_convolution(scale)

    @staticmethod
    def receptive_px(scale: int, n_blocks: int, n_convs: int, **_: Any) -> int:
        """Return the receptive radius in input pixels."""
        radius = 1  # of the last convolution, in output pixels; each stage before it divides by its factor
        for factor in reversed(Upsampler.stages[scale]):
            radius = math.ceil(radius / factor) + 1
        return 2 + n_blocks * n_convs + 1 + radius

    def construct(self, lq: Tensor) -> Tensor:
        """Map NCHW RGB in [0, 255] to ``scale`` times the height and width; the output is not clipped."""
        shallow = self.head(self.subtract_mean(lq))
        x = self.enter(shallow)
        outputs: tuple[Tensor, ...] = ()
        for block in self.blocks:
            x = block(x)
            outputs += (x,)
        x = self.fuse(ops.concat(outputs, 1)) + shallow
        return self.add_mean(self.upsampler(x))


class ResidualDenseBlock(nn.Cell):
    """3x3 convolutions that each read everything before them, a 1x1 fusion, and a residual (RDN section 3.2)."""

    def __init__(self, n_feats: int, n_convs: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.CellList([conv(n_feats + c * growth, growth) for c in range(n_convs)])
        self.leave = conv(n_feats + n_convs * growth, n_feats, 1)

    def construct(self, x: Tensor) -> Tensor:
        """Map NCHW to the same shape."""
        dense = x
        for layer in self.convs:
            dense = ops.concat((dense, ops.relu(layer(dense))), 1)
        return x + self.leave(dense)
