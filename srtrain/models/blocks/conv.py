"""The convolution used in every network of this package."""

from __future__ import annotations

from mindspore import nn


def conv(n_in: int, n_out: int, kernel_px: int = 3, groups: int = 1) -> nn.Conv2d:
    """Return a convolution with bias that keeps height and width; ``kernel_px`` is odd."""
    return nn.Conv2d(
        n_in, n_out, kernel_px, pad_mode="pad", padding=kernel_px // 2, group=groups, has_bias=True
    )


def keeps_size(cell: nn.Conv2d) -> bool:
    """Return whether a convolution is square, of stride 1, and padded with zeros to keep height and width."""
    side = cell.kernel_size[0]
    padded = cell.pad_mode == "same" or (
        cell.pad_mode == "pad" and cell.padding in (side // 2, (side // 2,) * 4)
    )
    dense = (cell.stride, cell.dilation) == ((1, 1), (1, 1))
    return bool(padded and dense and side % 2 and cell.kernel_size == (side, side))
