"""Sides of at least so many pixels, for networks that shrink a picture: pad the input, crop the output."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

_LARGE = 1 << 20  # above every side


class PadToLeast(nn.Cell):
    """Repeats the last row and the last column until both sides have at least ``px`` pixels.

    ``CropLike`` crops the output of the network.
    """

    def __init__(self, px: int) -> None:
        super().__init__()
        self.px = px

    def construct(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, max(H, px), max(W, px))."""
        h, w = ops.shape(x)[2:]
        # max() of a free size cannot be exported; this is 1 from px on, and 0 below.
        tall, wide = (h - self.px + _LARGE) // _LARGE, (w - self.px + _LARGE) // _LARGE
        x = ops.concat((x,) + (x[:, :, -1:],) * (self.px - 1), 2)
        x = x[:, :, : tall * h + (1 - tall) * self.px]
        x = ops.concat((x,) + (x[:, :, :, -1:],) * (self.px - 1), 3)
        return x[:, :, :, : wide * w + (1 - wide) * self.px]
