"""RFDN: Residual Feature Distillation Network for Lightweight Image Super-Resolution (Liu et al., ECCV workshops)."""

from __future__ import annotations

from typing import Any, ClassVar

from mindspore import Tensor, nn, ops

from srtrain.errors import RecipeError
from srtrain.models import MODELS
from srtrain.models.blocks import CropLike, PadToLeast, PixelShuffle, ResizeLike, conv

from .layers import leaky_relu

_LEAST_PX = 15  # one pixel is left after a stride of 2 with 3 px and a pooling of 7 px


@MODELS.register("rfdn", from_run=("scale",))
class RFDN(nn.Cell):
    """A convolution, a row of residual distillation blocks, a fusion of their outputs, and one pixel shuffle.

    The defaults are the network of the AIM 2020 challenge, which the authors published weights of (section 4.5).

    Args:
        scale: factor of the pixel shuffle; the published weights are for 4.
        n_blocks: number of distillation blocks.
        n_feats: channels between the blocks; even.

    Raises:
        RecipeError: no blocks, or channels that cannot be divided.
    """

    scale_dependent = ("upsampler.",)

    torch_names: ClassVar[dict[str, Any]] = {
        r"^blocks\.(\d+)\.": lambda match: f"B{int(match[1]) + 1}.",
        r"^(B\d+)\.keeps\.(\d+)\.": lambda match: f"{match[1]}.c{int(match[2]) + 1}_d.",
        r"^(B\d+)\.convs\.(\d+)\.": lambda match: f"{match[1]}.c{int(match[2]) + 1}_r.",
        r"^(B\d+)\.last\.": r"\1.c4.",
        r"^(B\d+)\.fuse\.": r"\1.c5.",
        r"\.attention\.enter\.": ".esa.conv1.",
        r"\.attention\.shortcut\.": ".esa.conv_f.",
        r"\.attention\.halve\.": ".esa.conv2.",
        r"\.attention\.convs\.0\.": ".esa.conv_max.",
        r"\.attention\.convs\.1\.": ".esa.conv3.",
        r"\.attention\.convs\.2\.": ".esa.conv3_.",
        r"\.attention\.leave\.": ".esa.conv4.",
        r"^head\.": "fea_conv.",
        r"^fuse\.": "c.0.",
        r"^body_end\.": "LR_conv.",
    }
    """The names in the authors' files (docs/new_model.md)."""

    def __init__(self, scale: int, n_blocks: int = 4, n_feats: int = 50) -> None:
        super().__init__()
        if n_blocks < 1 or n_feats < 4 or n_feats % 2:
            raise RecipeError(
                f"an RFDN needs at least one block, and an even number of channels from 4 on; model.n_blocks is "
                f"{n_blocks!r} and model.n_feats is {n_feats!r}."
            )
        self.pad = PadToLeast(_LEAST_PX)
        self.head = conv(3, n_feats)
        self.blocks = nn.CellList([ResidualDistillationBlock(n_feats) for _ in range(n_blocks)])
        self.fuse = conv(n_blocks * n_feats, n_feats, 1)
        self.body_end = conv(n_feats, n_feats)
        self.upsampler = nn.SequentialCell(conv(n_feats, 3 * scale * scale), PixelShuffle(scale))
        self.crop = CropLike(scale)

    @staticmethod
    def least_px(**_: Any) -> int:
        """Return the least height and width of what the attention takes; smaller pictures are padded."""
        return _LEAST_PX

    def construct(self, lq: Tensor) -> Tensor:
        """Map NCHW RGB in [0, 255] to ``scale`` times the height and width; the output is not clipped."""
        shallow = x = self.head(self.pad(lq))
        outputs: tuple[Tensor, ...] = ()
        for block in self.blocks:
            x = block(x)
            outputs += (x,)
        x = self.body_end(leaky_relu(self.fuse(ops.concat(outputs, 1)))) + shallow
        return self.crop(self.upsampler(x), lq)


class ResidualDistillationBlock(nn.Cell):
    """RFDB: 1x1 convolutions keep half of the channels, and 3x3 ones with a residual pass all on (section 3.3)."""

    def __init__(self, n_feats: int) -> None:
        super().__init__()
        half = n_feats // 2
        self.keeps = nn.CellList([conv(n_feats, half, 1) for _ in range(3)])
        self.convs = nn.CellList([conv(n_feats, n_feats) for _ in range(3)])
        self.last = conv(n_feats, half)
        self.fuse = conv(4 * half, n_feats, 1)
        self.attention = SpatialAttention(n_feats)

    def construct(self, x: Tensor) -> Tensor:
        """Map NCHW to the same shape."""
        kept: tuple[Tensor, ...] = ()
        for c in range(3):
            kept += (leaky_relu(self.keeps[c](x)),)
            x = leaky_relu(self.convs[c](x) + x)
        kept += (leaky_relu(self.last(x)),)
        return self.attention(self.fuse(ops.concat(kept, 1)))


class SpatialAttention(nn.Cell):
    """ESA: a weight for each value, from a sixth of the size of the picture (section 3.4)."""

    def __init__(self, n_feats: int) -> None:
        super().__init__()
        inner = max(1, n_feats // 4)
        self.enter = conv(n_feats, inner, 1)
        self.shortcut = conv(inner, inner, 1)
        self.halve = nn.Conv2d(inner, inner, 3, 2, pad_mode="valid", has_bias=True)
        self.pool = nn.MaxPool2d(7, 3)
        self.convs = nn.CellList([conv(inner, inner) for _ in range(3)])
        self.resize = ResizeLike()
        self.leave = conv(inner, n_feats, 1)

    def construct(self, x: Tensor) -> Tensor:
        """Map NCHW to the same shape; height and width are at least 15."""
        entered = self.enter(x)
        y = self.pool(self.halve(entered))
        y = ops.relu(self.convs[0](y))
        y = self.convs[2](ops.relu(self.convs[1](y)))
        return x * ops.sigmoid(self.leave(self.resize(y, entered) + self.shortcut(entered)))
