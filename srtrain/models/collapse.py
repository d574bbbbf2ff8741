"""The linear end of a network as one convolution, in plain NumPy.

After the last ReLU, an EDSR computes only convolutions and pixel shuffles. Together they are one linear map, the same
one at every pixel. A single convolution to 3·r² channels and one pixel shuffle by r replace it (r is the scale).

At the borders the map differs. Each convolution of the network pads its own input with zeros, so the values that the
collapsed convolution would use outside of an inner feature map are absent. Which of them are absent depends only on the
sides that a pixel touches. Each case has its own kernel, and the kernels are stored as differences:

    output = inner + top + left + top_left    at the upper left pixel, and likewise elsewhere

``top`` is added in the first row only, ``top_left`` in the first pixel only. The sum is also right in a picture of one
row, where each pixel touches two opposite sides: no path through the network leads past one side to the other.

The kernel is smaller if it computes the picture from ``offset`` output pixels further up and left, where no pixels are.
An output pixel at x2 reads 4 rows: those at the even places begin 2 rows above their own input pixel, and those at the
odd places 1 row above. If each block of 2x2 output pixels begins at an odd place, all its pixels read the same 4 rows.
The kernel is then 4x4 instead of 5x5. There is one more row and one more column of blocks, and the picture is cut out
of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from srtrain.arrays import Float32

_ROW_SIDES, _COLUMN_SIDES = ("top", "bottom"), ("left", "right")
SIDES = (*_ROW_SIDES, *_COLUMN_SIDES, *(f"{row}_{column}" for row in _ROW_SIDES for column in _COLUMN_SIDES))
"""The places of corrections: four sides and four corners."""

_N_COLOURS = 3
_NEGLIGIBLE = 1e-12  # of the largest weight

Sides = tuple[str, ...]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Stage:
    """A convolution that keeps the size, and the pixel shuffle after it.

    Attributes:
        weight: (C_out, C_in, k, k); k is odd.
        bias: (C_out,).
        factor: of the pixel shuffle, channels in ONNX's DCR order; 1 for none.
    """

    weight: Float32
    bias: Float32
    factor: int = 1


@dataclass(frozen=True)
class Kernel:
    """A convolution to the 3·r² channels before the pixel shuffle, in DCR order: a block of r x r output pixels.

    Attributes:
        weight: (3·r², C, height, width).
        bias: (3·r²,).
    """

    weight: Float32
    bias: Float32


@dataclass(frozen=True)
class LinearEnd:
    """The linear end of a network.

    Attributes:
        scale: r.
        offset: rows and columns of output pixels in the first blocks that lie outside of the picture.
        inner: the convolution of the whole feature map.
        padding: zeros that ``inner`` needs above and below (also left and right) of the feature map of H x W. It
            returns H x W blocks, or (H + 1) x (W + 1) if there is an offset.
        depth: number of rows or columns at a side that the corrections read.
        border: the corrections by place: ``top``, ``bottom``, ``left``, ``right``, ``top_left``, ``top_right``,
            ``bottom_left`` and ``bottom_right``. ``top`` is for the first row of blocks; it reads the first ``depth``
            rows, and the same columns as ``inner``. ``bottom`` is for the last row of blocks and reads the last rows.
    """

    scale: int
    offset: int
    inner: Kernel
    padding: tuple[int, int]
    depth: int
    border: dict[str, Kernel]


def collapse(stages: Sequence[Stage], may_offset: bool = True) -> LinearEnd | None:
    """Return the stages as one convolution with its corrections at the borders.

    Args:
        stages: in the order in which they are applied.
        may_offset: whether there may be an offset, if that makes the kernel smaller.

    Returns:
        ``None`` if there is only one stage, if the last one does not return RGB, or if more than one row of input
        pixels feels a border, as with kernels of 5x5 at x4.
    """
    scale = int(np.prod([stage.factor for stage in stages]))
    ring_px = 0  # rows of a stage's output that feel a side
    for stage in stages[1:]:
        ring_px = (ring_px + stage.weight.shape[2] // 2) * stage.factor
    ends_in_rgb = len(stages) > 1 and stages[-1].factor == 1 and len(stages[-1].bias) == _N_COLOURS
    if not ends_in_rgb or ring_px > scale:
        return None
    places: list[Sides] = [*((s,) for s in _ROW_SIDES + _COLUMN_SIDES), *product(_ROW_SIDES, _COLUMN_SIDES)]
    at = {sides: _pixel(stages, scale, sides) for sides in [(), *places]}
    weight, bias = at[()]
    border = {sides: _difference(at, sides) for sides in places}
    depth = max(
        _depth(border[side,][0], side, _NEGLIGIBLE * float(np.abs(weight).max()))
        for side in _ROW_SIDES + _COLUMN_SIDES
    )
    # with an offset, the first and the last block must contain all the rows that feel a side
    offsets = [0, *range(max(ring_px, 1), scale - ring_px + 1)] if scale > 1 and may_offset else [0]
    grid = min((_grid(weight, scale, offset) for offset in offsets), key=lambda grid: grid.end - grid.start)
    corrections = {"_".join(sides): _kernel(*border[sides], sides, grid, depth) for sides in places}
    padding = (-grid.start, grid.end - 1 + (grid.offset > 0))
    return LinearEnd(scale, grid.offset, _kernel(weight, bias, (), grid, depth), padding, depth, corrections)


@dataclass(frozen=True)
class _Grid:
    """Where blocks of output pixels lie, and the rows of features that a block reads, relative to its own index."""

    scale: int
    offset: int
    start: int
    end: int


def _grid(weight: Float64, scale: int, offset: int) -> _Grid:
    """Return the grid with an offset; ``weight`` is the kernel away from all sides."""
    spread = _shift(weight.reshape(scale, -1, *weight.shape[1:]), offset, 3)
    read = np.flatnonzero(np.abs(spread).max(axis=(0, 1, 2, 4)))
    if not len(read):  # all weights are zero
        read = np.array([weight.shape[2] // 2 + 1])
    first = -(weight.shape[2] // 2) - 1
    return _Grid(scale, offset, first + int(read[0]), first + int(read[-1]) + 1)


def _shift(weight: Float64, offset: int, axis: int) -> Float64:
    """Move the last ``offset`` places in a block (the first axis) to the next block.

    The windows along ``axis`` grow by one place at the start. Those of the moved places begin there.
    """
    moved = len(weight) - offset
    margin: list[tuple[int, int]] = [(0, 0)] * weight.ndim
    margin[axis] = (0, 1)
    early = np.pad(weight[moved:], margin)
    margin[axis] = (1, 0)
    return np.concatenate((early, np.pad(weight[:moved], margin)))


def _pixel(stages: Sequence[Stage], scale: int, sides: Sides) -> tuple[Float64, Float64]:
    """Return weight (3·r², C, h, w) and bias of the outputs of one input pixel that touches ``sides``.

    The outputs are followed back through the stages. ``weight`` holds, for each output, the weights of a window of the
    current feature map; the window begins at (``start``, ``start``), relative to the pixel's own block.
    """
    n_out = _N_COLOURS * scale**2
    weight = np.eye(n_out).reshape(n_out, scale, scale, _N_COLOURS).transpose(0, 3, 1, 2)
    bias, start, block = np.zeros(n_out), 0, scale
    for stage in reversed(stages):
        weight = _without_outside(weight, start, block, sides)
        weight, start = _before_shuffle(weight, start, stage.factor)
        block //= stage.factor
        bias += np.einsum("ochw,c->o", weight, stage.bias)
        weight = _before_convolution(weight, stage.weight.astype(np.float64))
        start -= stage.weight.shape[2] // 2
    return weight, bias


def _without_outside(weight: Float64, start: int, block: int, sides: Sides) -> Float64:
    """Clear the weights of places that lie beyond ``sides``, where the network pads with zeros."""
    place = start + np.arange(weight.shape[2])
    before, after = place < 0, place >= block
    weight = weight.copy()
    for side, beyond in zip(_ROW_SIDES, (before, after), strict=True):
        if side in sides:
            weight[:, :, beyond] = 0
    for side, beyond in zip(_COLUMN_SIDES, (before, after), strict=True):
        if side in sides:
            weight[..., beyond] = 0
    return weight


def _before_shuffle(weight: Float64, start: int, factor: int) -> tuple[Float64, int]:
    """Return the weights of the channels that a pixel shuffle distributes, and the start of their window."""
    n_out, n_in, size, _ = weight.shape
    end = start + size
    margins = (start % factor, -end % factor)
    weight = np.pad(weight, ((0, 0), (0, 0), margins, margins))
    size = weight.shape[2] // factor
    weight = weight.reshape(n_out, n_in, size, factor, size, factor).transpose(0, 3, 5, 1, 2, 4)
    return weight.reshape(n_out, n_in * factor**2, size, size), start // factor


def _before_convolution(weight: Float64, kernel: Float64) -> Float64:
    """Return the weights of the input of a convolution; the window grows by its radius on each side."""
    n_out, n_between, size, _ = weight.shape
    _, n_in, side, _ = kernel.shape
    spread = weight.transpose(0, 2, 3, 1).reshape(-1, n_between) @ kernel.reshape(n_between, -1)
    spread = spread.reshape(n_out, size, size, n_in, side, side)
    result = np.zeros((n_out, n_in, size + side - 1, size + side - 1))
    for y, x in product(range(size), repeat=2):
        result[:, :, y : y + side, x : x + side] += spread[:, y, x]
    return result


def _difference(at: dict[Sides, tuple[Float64, Float64]], sides: Sides) -> tuple[Float64, Float64]:
    """Return what ``sides`` add together, beyond what they add one by one."""
    parts = [part for n in range(len(sides) + 1) for part in combinations(sides, n)]
    signs = [(-1) ** (len(sides) - len(part)) for part in parts]
    weight, bias = (sum(s * at[p][k] for s, p in zip(signs, parts, strict=True)) for k in (0, 1))
    return weight, bias


def _depth(weight: Float64, side: str, negligible: float) -> int:
    """Return how many rows or columns from a side a correction reads."""
    seen = np.abs(weight).max(axis=(0, 1, 3 if side in _ROW_SIDES else 2))
    radius = len(seen) // 2
    inside = seen[radius:] if side in ("top", "left") else seen[radius::-1]
    return 1 + int(np.flatnonzero(inside > negligible).max(initial=0))


def _kernel(weight: Float64, bias: Float64, sides: Sides, grid: _Grid, depth: int) -> Kernel:
    """Return a kernel on the grid.

    Towards ``sides``, the kernel reads ``depth`` rows or columns; what lies beyond a side is zero.
    """
    r, n_in, radius = grid.scale, weight.shape[1], weight.shape[2] // 2
    parts = weight.reshape(r, r, _N_COLOURS, n_in, *weight.shape[2:])
    for axis, (first, last) in enumerate((_ROW_SIDES, _COLUMN_SIDES)):
        parts = np.moveaxis(parts, axis, 0)
        if first in sides:
            cut, parts = radius, np.roll(parts, grid.offset, 0)
        elif last in sides:
            cut, parts = radius + 1 - depth, np.roll(parts, grid.offset, 0)
        else:
            cut, parts = grid.start + radius + 1, _shift(parts, grid.offset, 4 + axis)
        n_read = depth if first in sides or last in sides else grid.end - grid.start
        parts = np.moveaxis(parts, 0, axis)
        parts = np.take(parts, range(cut, cut + n_read), 4 + axis)
    bias = np.roll(bias.reshape(r, r, _N_COLOURS), (grid.offset, grid.offset), (0, 1))
    n_out = r * r * _N_COLOURS
    return Kernel(
        parts.reshape(n_out, n_in, *parts.shape[4:]).astype(np.float32), bias.reshape(-1).astype(np.float32)
    )
