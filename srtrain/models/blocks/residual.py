"""EDSR's residual block."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from srtrain.models import BLOCKS
from srtrain.models.blocks.conv import conv


@BLOCKS.register("residual")
class ResidualBlock(nn.Cell):
    """conv, ReLU, conv, times ``res_scale``, plus the input; no batch norm (EDSR section 3.1).

    Args:
        n_feats: channels of input and output.
        kernel_px: side of the kernels; odd.
        res_scale: factor of the convolutions' result before the input is added.
    """

    def __init__(self, n_feats: int, kernel_px: int = 3, res_scale: float = 1.0) -> None:
        super().__init__()
        self.conv1 = conv(n_feats, n_feats, kernel_px)
        self.conv2 = conv(n_feats, n_feats, kernel_px)
        self.res_scale = res_scale

    @staticmethod
    def receptive_px(kernel_px: int) -> int:
        """Return the receptive radius of the block in pixels."""
        return 2 * (kernel_px // 2)

    def construct(self, x: Tensor) -> Tensor:
        """Map NCHW to the same shape."""
        y = self.conv2(ops.relu(self.conv1(x)))
        if self.res_scale != 1.0:
            y = y * self.res_scale
        return x + y
