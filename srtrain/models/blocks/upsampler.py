"""EDSR's upsampler."""

from __future__ import annotations

from typing import ClassVar

from mindspore import nn

from srtrain.errors import RecipeError
from srtrain.models.blocks.conv import conv
from srtrain.models.blocks.pixel_shuffle import PixelShuffle


class Upsampler(nn.SequentialCell):
    """conv F→r²F and shuffle by r: one stage for x2 and x3, two of x2 for x4 (EDSR figure 3)."""

    stages: ClassVar[dict[int, tuple[int, ...]]] = {2: (2,), 3: (3,), 4: (2, 2)}
    """The factors r of each scale."""

    def __init__(self, scale: int, n_feats: int, kernel_px: int = 3) -> None:
        if scale not in self.stages:
            raise RecipeError(f"scale = {scale!r} is not one of {', '.join(map(str, self.stages))}.")
        layers: list[nn.Cell] = []
        for factor in self.stages[scale]:
            layers += [conv(n_feats, factor * factor * n_feats, kernel_px), PixelShuffle(factor)]
        super().__init__(layers)
