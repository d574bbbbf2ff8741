"""The upsamplers of EDSR, ESRN and RDN: stages of one convolution and one pixel shuffle."""

from __future__ import annotations

from typing import ClassVar

from mindspore import nn

from srtrain.errors import RecipeError
from srtrain.models.blocks.conv import conv
from srtrain.models.blocks.pixel_shuffle import PixelShuffle

_SHUFFLED = 24  # channels after the shuffle of ESRN's one-stage upsampler, as in the authors' x2 network


class Upsampler(nn.SequentialCell):
    """EDSR's upsampler: one stage for x2 and x3, two stages of x2 for x4 (EDSR figure 3), and none for x1.

    It maps (N, n_feats, H, W) to (N, n_feats, scale·H, scale·W).
    """

    stages: ClassVar[dict[int, tuple[int, ...]]] = {1: (), 2: (2,), 3: (3,), 4: (2, 2)}
    """The factor of each stage, by scale."""

    def __init__(self, scale: int, n_feats: int, kernel_px: int = 3) -> None:
        super().__init__(_stages(scale, n_feats, n_feats, kernel_px))


def upsampler_to_picture(
    scale: int, n_feats: int, n_colors: int = 3, n_shuffled: int | None = None
) -> nn.SequentialCell:
    """Return the upsampler of ESRN and RDN, which maps (N, n_feats, H, W) to (N, n_colors, scale·H, scale·W).

    At x2 and x3, one stage of ESRN leaves 24 channels. The authors' x2 network has 96 channels before the shuffle. 96
    channels cannot be shuffled by 3, so at x3 we keep the 24 channels after it; this is our reading. At x4 the stages
    are EDSR's. At x1 there is only the last convolution.

    Args:
        scale: 1, 2, 3 or 4.
        n_feats: channels of the input.
        n_colors: channels of the picture.
        n_shuffled: channels after each shuffle, at every scale; ``None`` means ESRN's.

    Raises:
        RecipeError: another scale.
    """
    n_out = n_feats if scale == 1 else n_shuffled or (n_feats if scale == 4 else _SHUFFLED)
    return nn.SequentialCell(*_stages(scale, n_feats, n_out), conv(n_out, n_colors))


def last_convolution(scale: int) -> str:
    """Return the name of the convolution to the picture in a network with this upsampler."""
    return f"upsampler.{2 * len(Upsampler.stages[scale])}"


def _stages(scale: int, n_in: int, n_out: int, kernel_px: int = 3) -> list[nn.Cell]:
    if scale not in Upsampler.stages:
        raise RecipeError(f"scale = {scale!r} is not one of {', '.join(map(str, Upsampler.stages))}.")
    cells: list[nn.Cell] = []
    for factor in Upsampler.stages[scale]:
        cells += [conv(n_in, n_out * factor**2, kernel_px), PixelShuffle(factor)]
        n_in = n_out
    return cells
