"""What IMDN and RFDN share."""

from __future__ import annotations

from mindspore import Tensor, ops


def leaky_relu(x: Tensor, slope: float = 0.05) -> Tensor:
    """Return the larger one of ``x`` and ``slope * x``, which every export format can write."""
    return ops.maximum(x, x * slope)
