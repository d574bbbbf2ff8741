"""The convolution used in every network of this package."""

from __future__ import annotations

from mindspore import nn


def conv(n_in: int, n_out: int, kernel_px: int = 3, groups: int = 1) -> nn.Conv2d:
    """Return a convolution with bias that keeps height and width; ``kernel_px`` is odd."""
    return nn.Conv2d(
        n_in, n_out, kernel_px, pad_mode="pad", padding=kernel_px // 2, group=groups, has_bias=True
    )
