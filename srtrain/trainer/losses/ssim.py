"""A loss of structural similarity."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from srtrain.metrics.psnr import PEAK
from srtrain.trainer.losses import LOSSES


@LOSSES.register("ssim")
class SSIMLoss(nn.Cell):
    """1 - SSIM of RGB (Wang et al., 2004): the mean over channels and over all windows inside the picture.

    Args:
        window_px: side of the Gaussian window, odd. Smaller pictures have a smaller one.
        sigma_px: its standard deviation.
    """

    def __init__(self, window_px: int = 11, sigma_px: float = 1.5) -> None:
        super().__init__()
        distance = np.arange(window_px) - window_px // 2
        weights = np.exp(-(distance**2) / (2 * sigma_px**2))
        self.weights = Tensor((weights / weights.sum()).astype(np.float32).reshape(1, 1, window_px, 1))
        self.window_px = window_px
        self.flat_mean, self.flat_variance = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2

    def construct(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Return a scalar."""
        planes = (-1, 1, *sr.shape[2:])
        x, y = ops.reshape(sr, planes), ops.reshape(gt, planes)
        mean_x, mean_y = self.blur(x), self.blur(y)
        variance_x = self.blur(x * x) - mean_x * mean_x
        variance_y = self.blur(y * y) - mean_y * mean_y
        covariance = self.blur(x * y) - mean_x * mean_y
        in_mean = (2 * mean_x * mean_y + self.flat_mean) / (
            mean_x * mean_x + mean_y * mean_y + self.flat_mean
        )
        in_structure = (2 * covariance + self.flat_variance) / (variance_x + variance_y + self.flat_variance)
        return 1 - ops.mean(in_mean * in_structure)

    def blur(self, x: Tensor) -> Tensor:
        """Return the weighted means of all windows."""
        down, across = self.line(x.shape[2]), self.line(x.shape[3])
        return ops.conv2d(ops.conv2d(x, down), ops.transpose(across, (0, 1, 3, 2)))

    def line(self, n_px: int) -> Tensor:
        """Return the weights (1, 1, k, 1) of a window that fits into so many pixels."""
        cut = max(0, (self.window_px - n_px + 1) // 2)
        weights = ops.cast(self.weights, ms.float32)[:, :, cut : self.window_px - cut]
        return weights / weights.sum()
