"""What an exported network does otherwise than a trained one, without another result."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from srtrain.models.blocks import PixelShuffle, ResidualBlock
from srtrain.models.parameters import put


class DepthToSpace(nn.Cell):
    """``PixelShuffle`` as one operator: slower in training on a CPU, but no size is baked into a file."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.rearrange = ops.DepthToSpace(factor)

    def construct(self, x: Tensor) -> Tensor:
        """Rearrange (N, C·r², H, W) to (N, C, H·r, W·r), channels in the order of ONNX's DCR mode."""
        return self.rearrange(x)


def fold(model: nn.Cell) -> nn.Cell:
    """Put a network into the form that is exported; it computes the same, up to rounding.

    Every pixel shuffle becomes one operator, and ``res_scale`` goes into the weights of each residual block's
    second convolution. What the ONNX graph alone can show is folded there (``export/onnx.py``).

    Args:
        model: is changed in place and not to be trained any more; build one of its own for the export.
    """
    for parent in list(model.cells_and_names()):
        for name, cell in list(parent[1].name_cells().items()):
            if isinstance(cell, PixelShuffle):
                _replace(parent[1], name, DepthToSpace(cell.factor))
    for _, cell in model.cells_and_names():
        if isinstance(cell, ResidualBlock) and cell.res_scale != 1.0:
            for parameter in (cell.conv2.weight, cell.conv2.bias):
                put(parameter, parameter.asnumpy() * cell.res_scale)
            cell.res_scale = 1.0
    return model


def _replace(parent: nn.Cell, name: str, cell: nn.Cell) -> None:
    """Let ``cell`` take the place of a child; a sequence runs its own list of children."""
    if isinstance(parent, (nn.SequentialCell, nn.CellList)):
        parent[list(parent.name_cells()).index(name)] = cell
    else:
        setattr(parent, name, cell)
