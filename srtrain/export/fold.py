"""Changes to a network for export that do not change its result."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from srtrain.models.blocks import (
    ChannelShuffle,
    CropLike,
    PadToEven,
    PadToLeast,
    PixelShuffle,
    ResidualBlock,
    ResizeLike,
)
from srtrain.models.collapsed import collapse_end
from srtrain.models.parameters import put


class DepthToSpace(nn.Cell):
    """``PixelShuffle`` as one operator, which fixes no size in the file but trains more slowly on a CPU."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.rearrange = ops.DepthToSpace(factor)

    def construct(self, x: Tensor) -> Tensor:
        """Rearrange (N, C·r², H, W) to (N, C, H·r, W·r), channels in the order of ONNX's DCR mode."""
        return self.rearrange(x)


class TakeChannels(nn.Cell):
    """``ChannelShuffle`` as one operator that takes the channels in a fixed order, which fixes no size in the file."""

    def __init__(self, n_channels: int, n_groups: int) -> None:
        super().__init__()
        order = np.arange(n_channels, dtype=np.int32).reshape(n_groups, -1).T.reshape(-1)
        self.order = Tensor(order, ms.int32)

    def construct(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) with its channels in the new order."""
        return ops.gather(x, self.order, 1)


class KeepSize(nn.Cell):
    """Replaces ``CropLike``."""

    def construct(self, sr: Tensor, lq: Tensor) -> Tensor:
        """Return ``sr`` unchanged."""
        return sr


class MarkResize(nn.Cell):
    """Replaces ``ResizeLike``, which MindSpore cannot write as ONNX, by a power, which no network needs otherwise."""

    def construct(self, x: Tensor, like: Tensor) -> Tensor:
        """Return something with the size of ``like`` that depends on both."""
        return ops.pow(ops.mean(x, (2, 3), True), like)


class In01(nn.Cell):
    """A network of RGB in [0, 255] as one of RGB in [0, 1].

    A convolution of 1x1 widens the range, because ONNX Runtime folds the mean colour into it. It is the first
    convolution, from which chaiNNer reads the number of channels.
    """

    def __init__(self, model: nn.Cell) -> None:
        super().__init__()
        white = 255 * np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
        self.widen = nn.Conv2d(3, 3, 1, has_bias=True, weight_init=Tensor(white), bias_init="zeros")
        self.model = model

    def construct(self, lq: Tensor) -> Tensor:
        """Return the picture; neither it nor ``lq`` is clipped."""
        return self.model(self.widen(lq)) * (1 / 255)  # a quotient would be exported with an undefined type


def fold(model: nn.Cell, plain: bool = False) -> nn.Cell:
    """Prepare a network for export; it computes the same, up to rounding.

    The linear end becomes one convolution (``srtrain/models/collapse.py``), where that is possible. Every pixel shuffle
    and every channel shuffle becomes one operator. ``res_scale`` becomes part of the weights of the second convolution
    in each residual block. ``export/onnx_graph.py`` folds more in the ONNX graph.

    Args:
        model: changed in place and of no use for training afterwards, so build a separate network for the export.
        plain: whether the linear end stays as it is.
    """
    if not plain:
        collapse_end(model)
    for parent in list(model.cells_and_names()):
        for name, cell in list(parent[1].name_cells().items()):
            if isinstance(cell, PixelShuffle):
                _replace(parent[1], name, DepthToSpace(cell.factor))
            elif isinstance(cell, ChannelShuffle):
                _replace(parent[1], name, TakeChannels(cell.n_channels, cell.n_groups))
    for _, cell in model.cells_and_names():
        if isinstance(cell, ResidualBlock) and cell.res_scale != 1.0:
            for parameter in (cell.conv2.weight, cell.conv2.bias):
                put(parameter, parameter.asnumpy() * cell.res_scale)
            cell.res_scale = 1.0
    return model


def take_padding_off(model: nn.Cell) -> tuple[int, int]:
    """Remove the padding of the input and the crop of the output; mark resizing for ``onnx_graph.py``.

    Returns:
        The least side that the network takes, and the number that sides must be multiples of.
    """
    least = multiple = 1
    for parent in list(model.cells_and_names()):
        for name, cell in list(parent[1].name_cells().items()):
            if isinstance(cell, (PadToEven, PadToLeast)):
                _replace(parent[1], name, nn.Identity())
                least = max(least, cell.px if isinstance(cell, PadToLeast) else 1)
                multiple = 2 if isinstance(cell, PadToEven) else multiple
            elif isinstance(cell, CropLike):
                _replace(parent[1], name, KeepSize())
            elif isinstance(cell, ResizeLike):
                _replace(parent[1], name, MarkResize())
    return least, multiple


def _replace(parent: nn.Cell, name: str, cell: nn.Cell) -> None:
    """Replace a child of a cell. Sequences keep their own list of children, so they need an assignment by index."""
    if isinstance(parent, (nn.SequentialCell, nn.CellList)):
        parent[list(parent.name_cells()).index(name)] = cell
    else:
        setattr(parent, name, cell)
