"""IMDN: Lightweight Image Super-Resolution with Information Multi-distillation Network (Hui et al., ACM MM 2019)."""

from __future__ import annotations

from typing import Any, ClassVar

from mindspore import Tensor, nn, ops

from srtrain.errors import RecipeError
from srtrain.models import MODELS
from srtrain.models.blocks import PixelShuffle, conv

from .layers import leaky_relu


@MODELS.register("imdn", from_run=("scale",))
class IMDN(nn.Cell):
    """A convolution, a row of distillation blocks, a fusion of their outputs, and one pixel shuffle (section 3.1).

    Args:
        scale: factor of the pixel shuffle; the authors trained 2, 3 and 4.
        n_blocks: number of distillation blocks; 6 in the paper.
        n_feats: channels between the blocks; a multiple of 16.

    Raises:
        RecipeError: no blocks, or channels that cannot be divided.
    """

    scale_dependent = ("upsampler.",)

    torch_names: ClassVar[dict[str, Any]] = {
        r"^blocks\.(\d+)\.": lambda match: f"IMDB{int(match[1]) + 1}.",
        r"^(IMDB\d+)\.convs\.(\d+)\.": lambda match: f"{match[1]}.c{int(match[2]) + 1}.",
        r"^(IMDB\d+)\.fuse\.": r"\1.c5.",
        r"\.attention\.squeeze\.": ".cca.conv_du.0.",
        r"\.attention\.excite\.": ".cca.conv_du.2.",
        r"^head\.": "fea_conv.",
        r"^fuse\.": "c.0.",
        r"^body_end\.": "LR_conv.",
    }
    torch_range = "0-1"
    """The authors' files have other names, and were trained on RGB in [0, 1] (docs/new_model.md)."""

    def __init__(self, scale: int, n_blocks: int = 6, n_feats: int = 64) -> None:
        super().__init__()
        if n_blocks < 1 or n_feats < 16 or n_feats % 16:
            raise RecipeError(
                f"an IMDN needs at least one block, and a multiple of 16 channels; model.n_blocks is {n_blocks!r} and "
                f"model.n_feats is {n_feats!r}."
            )
        self.head = conv(3, n_feats)
        self.blocks = nn.CellList([DistillationBlock(n_feats) for _ in range(n_blocks)])
        self.fuse = conv(n_blocks * n_feats, n_feats, 1)
        self.body_end = conv(n_feats, n_feats)
        self.upsampler = nn.SequentialCell(conv(n_feats, 3 * scale * scale), PixelShuffle(scale))

    def construct(self, lq: Tensor) -> Tensor:
        """Map NCHW RGB in [0, 255] to ``scale`` times the height and width; the output is not clipped."""
        shallow = x = self.head(lq)
        outputs: tuple[Tensor, ...] = ()
        for block in self.blocks:
            x = block(x)
            outputs += (x,)
        x = self.body_end(leaky_relu(self.fuse(ops.concat(outputs, 1)))) + shallow
        return self.upsampler(x)


class DistillationBlock(nn.Cell):
    """IMDB: each convolution keeps a quarter of its channels and passes the others on (section 3.2, table 1)."""

    def __init__(self, n_feats: int) -> None:
        super().__init__()
        self.kept = n_feats // 4
        self.passed = n_feats - self.kept
        self.convs = nn.CellList(
            [
                conv(n_feats, n_feats),
                conv(self.passed, n_feats),
                conv(self.passed, n_feats),
                conv(self.passed, self.kept),
            ]
        )
        self.attention = ContrastAttention(n_feats)
        self.fuse = conv(n_feats, n_feats, 1)

    def construct(self, x: Tensor) -> Tensor:
        """Map NCHW to the same shape."""
        kept: tuple[Tensor, ...] = ()
        y = x
        for c in range(3):
            y = leaky_relu(self.convs[c](y))
            kept += (y[:, : self.kept],)
            y = y[:, self.kept :]
        kept += (self.convs[3](y),)
        return x + self.fuse(self.attention(ops.concat(kept, 1)))


class ContrastAttention(nn.Cell):
    """CCA: a weight for each channel, from its mean and its standard deviation over the picture (section 3.3)."""

    def __init__(self, n_feats: int) -> None:
        super().__init__()
        self.squeeze = conv(n_feats, n_feats // 16, 1)
        self.excite = conv(n_feats // 16, n_feats, 1)

    def construct(self, x: Tensor) -> Tensor:
        """Map NCHW to the same shape."""
        mean = ops.mean(x, (2, 3), True)
        offset = x - mean
        contrast = ops.sqrt(ops.mean(offset * offset, (2, 3), True))
        return x * ops.sigmoid(self.excite(ops.relu(self.squeeze(mean + contrast))))
