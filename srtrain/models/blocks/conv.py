"""The convolution that every network here is made of."""

from __future__ import annotations

from mindspore import nn


def conv(n_in: int, n_out: int, kernel_px: int = 3, groups: int = 1) -> nn.Conv2d:
    """Return a convolution with bias that keeps height and width."""
    return nn.Conv2d(
        n_in, n_out, kernel_px, pad_mode="pad", padding=kernel_px // 2, group=groups, has_bias=True
    )
