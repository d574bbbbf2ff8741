"""What an exported network does otherwise than a trained one, without another result."""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from srtrain.models.blocks import ChannelShuffle, CropLike, PadToEven, PixelShuffle, ResidualBlock
from srtrain.models.parameters import put


class DepthToSpace(nn.Cell):
    """``PixelShuffle`` as one operator: slower in training on a CPU, but no size is baked into a file."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.rearrange = ops.DepthToSpace(factor)

    def construct(self, x: Tensor) -> Tensor:
        """Rearrange (N, C·r², H, W) to (N, C, H·r, W·r), channels in the order of ONNX's DCR mode."""
        return self.rearrange(x)


class TakeChannels(nn.Cell):
    """``ChannelShuffle`` as one operator that knows the new order of the channels, and bakes no size into a file."""

    def __init__(self, n_channels: int, n_groups: int) -> None:
        super().__init__()
        order = np.arange(n_channels, dtype=np.int32).reshape(n_groups, -1).T.reshape(-1)
        self.order = Tensor(order, ms.int32)

    def construct(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) with its channels in the new order."""
        return ops.gather(x, self.order, 1)


class KeepSize(nn.Cell):
    """Stands where ``CropLike`` was."""

    def construct(self, sr: Tensor, lq: Tensor) -> Tensor:
        """Return the first."""
        return sr


def fold(model: nn.Cell) -> nn.Cell:
    """Put a network into the form that is exported; it computes the same, up to rounding.

    Every pixel shuffle and every channel shuffle becomes one operator, and ``res_scale`` goes into the weights of each
    residual block's second convolution. What the ONNX graph alone can show is folded there (``export/onnx_graph.py``).

    Args:
        model: is changed in place and not to be trained any more; build one of its own for the export.
    """
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


def take_padding_off(model: nn.Cell) -> bool:
    """Take off what pads a picture to even sides and crops it again; return whether there was any."""
    found = False
    for parent in list(model.cells_and_names()):
        for name, cell in list(parent[1].name_cells().items()):
            if isinstance(cell, PadToEven):
                _replace(parent[1], name, nn.Identity())
                found = True
            elif isinstance(cell, CropLike):
                _replace(parent[1], name, KeepSize())
    return found


def _replace(parent: nn.Cell, name: str, cell: nn.Cell) -> None:
    """Let ``cell`` take the place of a child; a sequence runs its own list of children."""
    if isinstance(parent, (nn.SequentialCell, nn.CellList)):
        parent[list(parent.name_cells()).index(name)] = cell
    else:
        setattr(parent, name, cell)
