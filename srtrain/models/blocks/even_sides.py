"""Even sides for networks that work at half the size: pad the input, crop the output."""

from __future__ import annotations

from mindspore import Tensor, nn, ops


class PadToEven(nn.Cell):
    """Makes height and width even by repeating the last row and the last column."""

    def construct(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same with even H and W."""
        h, w = ops.shape(x)[2:]
        x = ops.concat((x, x[:, :, -1:]), 2)[:, :, : h + h % 2]
        return ops.concat((x, x[:, :, :, -1:]), 3)[:, :, :, : w + w % 2]


class CropLike(nn.Cell):
    """Crops an output to the size that belongs to the unpadded input."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def construct(self, sr: Tensor, lq: Tensor) -> Tensor:
        """Return the first scale·H rows and scale·W columns of ``sr``, where ``lq`` is (N, C, H, W)."""
        h, w = ops.shape(lq)[2:]
        return sr[:, :, : h * self.scale, : w * self.scale]
