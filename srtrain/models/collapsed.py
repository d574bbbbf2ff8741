"""The linear end of a network as a cell for export: one convolution, one pixel shuffle, and exact borders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from srtrain.arrays import Float32
from srtrain.models.blocks import MeanShift, PixelShuffle
from srtrain.models.blocks.conv import keeps_size
from srtrain.models.collapse import LinearEnd, Stage, collapse

_END = 2**31 - 1  # the end of an axis, whatever the size at which the network is traced

Padding = tuple[int, int, int, int]


class CollapsedEnd(nn.Cell):
    """Maps the last feature map (N, C, H, W) to RGB of (N, 3, H·r, W·r).

    It uses convolutions of strips for the borders, and no operator that fixes a size in an exported file.

    Args:
        end: the convolutions, from ``collapse``.
    """

    def __init__(self, end: LinearEnd) -> None:
        super().__init__()
        n, both = end.depth - 1, end.padding
        n_out, n_in = end.inner.weight.shape[:2]
        self.end = end
        self.depth = end.depth
        self.inner = _convolution(end.inner.weight, end.inner.bias, (*both, *both))
        above, below = {"top": (0, n), "bottom": (n, 0)}, {"left": (0, n), "right": (n, 0)}
        self.border = nn.CellDict()
        for place, kernel in end.border.items():
            vertical, _, horizontal = place.partition("_") if place not in below else ("", "", place)
            padding = (*above.get(vertical, both), *below.get(horizontal, both))
            self.border[place] = _convolution(kernel.weight, kernel.bias, padding)
        more = int(end.offset > 0)  # there is one more row and column of blocks than of features
        nothing, one = np.zeros((1, n_in, 1, 1), np.float32), np.ones(1, np.float32)
        self.ones_by_row = _convolution(nothing, one, (0, more, 0, 0))
        self.ones_by_column = _convolution(nothing, one, (0, 0, 0, more))
        self.first_row, self.last_row = (_marker(n_out, (2, 1), at) for at in ((1, 0, 0, 0), (0, 1, 0, 0)))
        self.first_column, self.last_column = (
            _marker(n_out, (1, 2), at) for at in ((0, 0, 1, 0), (0, 0, 0, 1))
        )
        self.multiply = ops.BatchMatMul()
        self.shuffle = ops.DepthToSpace(end.scale)
        self.offset, self.surplus = end.offset, end.scale - end.offset

    def construct(self, x: Tensor) -> Tensor:
        """Return the picture."""
        sr = self.shuffle(self.inner(x) + self.corrections(x))
        if self.offset:
            sr = sr[:, :, self.offset : -self.surplus, self.offset : -self.surplus]
        return sr

    def corrections(self, x: Tensor) -> Tensor:
        """Return (N, 3·r², H, W) blocks, which are zero except in the first and last row and column.

        The corrections of the rows are a tensor (N, 3·r², 2, W), those of the columns one of (N, 3·r², H, 2). Matrix
        products with markers put them in their places. A marker of rows has H numbers: 1 in the first or in the last
        row, and else 0.
        """
        border, n = self.border, self.depth
        top, bottom, left, right = x[:, :, :n], x[:, :, -n:_END], x[:, :, :, :n], x[:, :, :, -n:_END]
        rows = ops.concat((border["top"](top)[:, :, :1], border["bottom"](bottom)[:, :, -1:_END]), 2)
        columns = ops.concat((border["left"](left)[:, :, :, :1], border["right"](right)[:, :, :, -1:_END]), 3)
        upper = (
            border["top_left"](top[:, :, :, :n])[:, :, :1, :1],
            border["top_right"](top[:, :, :, -n:_END])[:, :, :1, -1:_END],
        )
        lower = (
            border["bottom_left"](bottom[:, :, :, :n])[:, :, -1:_END, :1],
            border["bottom_right"](bottom[:, :, :, -n:_END])[:, :, -1:_END, -1:_END],
        )
        corners = ops.concat((ops.concat(upper, 3), ops.concat(lower, 3)), 2)
        ones = self.ones_by_row(x[:, :, :, :1])
        row_markers = ops.concat((self.first_row(ones), self.last_row(ones)), 3)
        ones = self.ones_by_column(x[:, :, :1])
        column_markers = ops.concat((self.first_column(ones), self.last_column(ones)), 2)
        rows = rows + self.multiply(corners, column_markers)
        # row_markers @ rows + columns @ column_markers, as one product
        return self.multiply(ops.concat((row_markers, columns), 3), ops.concat((rows, column_markers), 2))


def _convolution(weight: Float32, bias: Float32, padding: Padding = (0, 0, 0, 0)) -> nn.Conv2d:
    """Return a convolution with these weights; ``padding`` is (top, bottom, left, right)."""
    n_out, n_in, height, width = weight.shape
    return nn.Conv2d(
        n_in,
        n_out,
        (height, width),
        pad_mode="pad",
        padding=padding,
        has_bias=True,
        weight_init=ms.Tensor(weight),
        bias_init=ms.Tensor(bias),
    )


def _marker(n_out: int, shape: tuple[int, int], padding: Padding) -> nn.Conv2d:
    """Return a convolution that turns a line of ones into 1 at the padded end and 0 elsewhere.

    It subtracts the neighbour on the side of the padding, which is 0 at that end and 1 elsewhere.
    """
    signs = [-1, 1] if padding[0] or padding[2] else [1, -1]
    weight = np.tile(np.array(signs, np.float32).reshape(1, 1, *shape), (n_out, 1, 1, 1))
    return _convolution(weight, np.zeros(n_out, np.float32), padding)


def collapse_end(model: nn.Cell, may_offset: bool = True) -> bool:
    """Replace the linear end of a network, which its class names in ``linear_end``; return whether it could be done.

    Args:
        model: changed in place.
        may_offset: whether blocks may begin outside of the picture; see ``collapse``.
    """
    kind: Any = type(model)
    owner: Any = next((base for base in kind.__mro__ if "linear_end" in vars(base)), None)
    if owner is None or kind.construct is not owner.construct:  # a derived class may compute something else
        return False
    names: tuple[str, ...] = owner.linear_end
    stages = _stages([part for name in names for part in _parts(getattr(model, name))])
    end = collapse(stages, may_offset)
    if end is None:
        return False
    for name, cell in zip(names, [CollapsedEnd(end), *(nn.Identity() for _ in names[1:])], strict=True):
        setattr(model, name, cell)
    return True


def is_collapsed(model: nn.Cell) -> bool:
    """Return whether ``collapse_end`` has changed this network."""
    return any(isinstance(cell, CollapsedEnd) for _, cell in model.cells_and_names())


def _parts(cell: nn.Cell) -> list[nn.Cell]:
    if isinstance(cell, nn.SequentialCell):
        return [part for child in cell for part in _parts(child)]
    return [cell]


def _stages(cells: list[nn.Cell]) -> list[Stage]:
    """Return cells as stages; empty if one of them is of a kind that cannot be collapsed."""
    stages: list[Stage] = []
    for cell in cells:
        if isinstance(cell, nn.Conv2d) and cell.group == 1 and keeps_size(cell):
            weight = cell.weight.asnumpy()
            bias = cell.bias.asnumpy() if cell.has_bias else np.zeros(len(weight), np.float32)
            stages.append(Stage(weight, bias))
        elif isinstance(cell, PixelShuffle) and stages and stages[-1].factor == 1:
            stages[-1] = replace(stages[-1], factor=cell.factor)
        elif isinstance(cell, MeanShift) and stages and stages[-1].factor == 1:
            stages[-1] = replace(stages[-1], bias=stages[-1].bias + cell.shift.asnumpy().reshape(-1))
        else:
            return []
    return stages
