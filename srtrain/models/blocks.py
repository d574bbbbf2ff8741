"""The layers that networks share."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from mindspore import Tensor, nn, ops

from srtrain.errors import RecipeError
from srtrain.registry import BLOCKS

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of the DIV2K training pictures, RGB in [0, 1] (EDSR section 4.1)."""


def conv(n_in: int, n_out: int, kernel_px: int = 3, groups: int = 1) -> nn.Conv2d:
    """Return a convolution with bias that keeps height and width."""
    return nn.Conv2d(
        n_in, n_out, kernel_px, pad_mode="pad", padding=kernel_px // 2, group=groups, has_bias=True
    )


class MeanShift(nn.Cell):
    """Adds ``sign`` times a mean colour to RGB NCHW in [0, 255]."""

    def __init__(self, mean: tuple[float, float, float], sign: int) -> None:
        super().__init__()
        self.shift = Tensor(np.float32(sign * 255) * np.array(mean, np.float32).reshape(1, 3, 1, 1))

    def construct(self, x: Tensor) -> Tensor:
        """Return ``x`` shifted, in its own dtype."""
        return x + ops.cast(self.shift, x.dtype)


@BLOCKS.register("residual")
class ResidualBlock(nn.Cell):
    """conv, ReLU, conv, times ``res_scale``, plus the input; no batch norm (EDSR section 3.1)."""

    def __init__(self, n_feats: int, kernel_px: int = 3, res_scale: float = 1.0) -> None:
        super().__init__()
        self.conv1 = conv(n_feats, n_feats, kernel_px)
        self.conv2 = conv(n_feats, n_feats, kernel_px)
        self.res_scale = res_scale

    @staticmethod
    def receptive_px(kernel_px: int) -> int:
        """Return how far the block looks from a pixel."""
        return 2 * (kernel_px // 2)

    def construct(self, x: Tensor) -> Tensor:
        """Map NCHW to the same shape."""
        y = self.conv2(ops.relu(self.conv1(x)))
        if self.res_scale != 1.0:
            y = y * self.res_scale
        return x + y


class PixelShuffle(nn.Cell):
    """Rearranges (N, C·r², H, W) to (N, C, H·r, W·r), channels in the order of ONNX's DCR mode.

    Written as reshape and transpose, which on a CPU is several times faster in training than the single
    operator ``DepthToSpace``; a test holds the two equal (docs/mindspore.md).
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def construct(self, x: Tensor) -> Tensor:
        """Return the rearranged picture."""
        n, c, h, w = ops.shape(x)
        r = self.factor
        x = ops.reshape(x, (n, r, r, c // (r * r), h, w))
        x = ops.transpose(x, (0, 3, 4, 1, 5, 2))
        return ops.reshape(x, (n, c // (r * r), h * r, w * r))


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
