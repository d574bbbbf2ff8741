"""The channels before a pixel shuffle, in PyTorch's order and in ours.

PyTorch's pixel shuffle makes one output channel from r² adjacent channels. Ours takes channels that are F apart (the
order DCR of ONNX's DepthToSpace).
"""

from __future__ import annotations

import numpy as np

from srtrain.arrays import Float32


def from_torch(tensor: Float32, factor: int) -> Float32:
    """Reorder the F·r² outputs of a convolution (weight or bias) from PyTorch's order to ours."""
    return _swap(tensor, (-1, factor * factor))


def to_torch(tensor: Float32, factor: int) -> Float32:
    """Undo ``from_torch``."""
    return _swap(tensor, (factor * factor, -1))


def _swap(tensor: Float32, shape: tuple[int, int]) -> Float32:
    grouped = tensor.reshape(*shape, *tensor.shape[1:])
    return np.ascontiguousarray(grouped.swapaxes(0, 1)).reshape(tensor.shape)
