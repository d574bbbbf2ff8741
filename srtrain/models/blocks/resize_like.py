"""Bilinear interpolation to the size of another feature map."""

from __future__ import annotations

from mindspore import Tensor, nn, ops
from mindspore.ops.operations.image_ops import ResizeBilinearV2


class ResizeLike(nn.Cell):
    """Resizes a feature map by bilinear interpolation, with the centres of the corner pixels half a pixel inside.

    That is PyTorch's ``interpolate(mode="bilinear", align_corners=False)``. Exports write it as one operator.
    """

    def __init__(self) -> None:
        super().__init__()
        self.resize = ResizeBilinearV2(align_corners=False, half_pixel_centers=True)

    def construct(self, x: Tensor, like: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, C, H, W), the size of ``like``, which has as many channels."""
        return self.resize(x, ops.shape(like)[2:])
