"""How cells of srtrain/models become steps of a program, by class.

A class without a form here, and a class derived from one that has a form, run as MindSpore runs them. The convolutions
in them are programs of their own (training.py).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from srtrain.kernels.library import load_library
from srtrain.kernels.program import NONE, CannotTraceError, Program, Section
from srtrain.models.blocks import (
    ContextBlock,
    GroupBlock,
    MeanShift,
    PixelShuffle,
    ResidualBlock,
    ShrinkBlock,
    Upsampler,
)
from srtrain.models.blocks.conv import keeps_size
from srtrain.models.blocks.dense import ShrinkingDense
from srtrain.models.collapse import Kernel
from srtrain.models.collapsed import CollapsedEnd
from srtrain.models.edsr import EDSR
from srtrain.models.esrn import ESRN

Form = Callable[[Program, Any, Section, Section], Section]
"""Writes the steps of a cell for an input, and returns the output: a section that is given, or a new one."""

SPREAD_ABOVE_PX = 2
"""Rows above a pixel, and columns to its left, that a convolution of a spread input reads (source/view.h)."""

_FORMS: dict[type[nn.Cell], Form] = {}


def form(*classes: type[nn.Cell]) -> Callable[[Form], Form]:
    """Register the form of classes."""

    def register(function: Form) -> Form:
        _FORMS.update(dict.fromkeys(classes, function))
        return function

    return register


def trace(program: Program, cell: nn.Cell, x: Section, into: Section = NONE) -> Section:
    """Write the steps of a cell; return its output.

    Raises:
        CannotTraceError: the cell, or a cell in it, has no form.
    """
    found = _FORMS.get(type(cell))
    if found is None:
        raise CannotTraceError(f"{type(cell).__name__} has no form")
    return found(program, cell, x, into)


def program_of(cell: nn.Cell, method: int) -> Program:
    """Return the program of a cell.

    Raises:
        CannotTraceError: the library cannot run it.
        CannotBuildError: there is no library on this machine.
    """
    program = Program(load_library(), method)
    program.leave(trace(program, cell, program.enter(channels_in(cell))))
    return program


def channels_in(cell: nn.Cell) -> int:
    """Return the number of channels that a cell reads: those of its first convolution.

    Where that is another number, a convolution does not fit what it reads, and the cell cannot be traced.

    Raises:
        CannotTraceError: the cell has no convolution.
    """
    for _, inner in cell.cells_and_names():
        if isinstance(inner, nn.Conv2d):
            return int(inner.in_channels)
    raise CannotTraceError(f"{type(cell).__name__} has no convolution")


@form(nn.Conv2d)
def conv(program: Program, cell: nn.Conv2d, x: Section, into: Section) -> Section:
    """A 3x3 or 1x1 convolution with bias that keeps the size."""
    return program.conv(x, checked(cell), into=into)


def checked(cell: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution if the library has it.

    Raises:
        CannotTraceError: it has not.
    """
    if not is_supported(cell):
        raise CannotTraceError(f"the library does not have {cell}")
    return cell


def is_supported(cell: nn.Cell) -> bool:
    """Return whether the library has a convolution: 3x3 or 1x1, with bias and stride 1, that keeps the size."""
    return (
        type(cell) is nn.Conv2d
        and cell.kernel_size in ((1, 1), (3, 3))
        and cell.has_bias
        and (cell.kernel_size == (3, 3) or cell.group == 1)
        and keeps_size(cell)
    )


@form(nn.SequentialCell, Upsampler)
def sequence(program: Program, cell: nn.SequentialCell, x: Section, into: Section) -> Section:
    """One cell after another; a convolution before a pixel shuffle writes its output shuffled."""
    cells = list(cell)
    while cells:
        first, *cells = cells
        last = NONE if cells else into
        if isinstance(first, nn.Conv2d) and cells and type(cells[0]) is PixelShuffle:
            factor = cells.pop(0).factor
            x = program.conv(x, checked(first), shuffle=factor, into=NONE if cells else into)
        else:
            x = trace(program, first, x, last)
    return x


@form(ResidualBlock)
def residual(program: Program, cell: ResidualBlock, x: Section, into: Section) -> Section:
    """EDSR's block."""
    y = program.conv(x, checked(cell.conv1), relu=True)
    return program.conv(y, checked(cell.conv2), scale=cell.res_scale, skip=x, into=into)


@form(MeanShift)
def shift(program: Program, cell: MeanShift, x: Section, into: Section) -> Section:
    """A constant for each channel, added in place: MeanShift stands first and last in a network."""
    return program.shift(x, [float(value) for value in cell.shift.asnumpy().ravel()])


@form(nn.Identity)
def identity(program: Program, cell: nn.Identity, x: Section, into: Section) -> Section:
    """What has become a part of a collapsed end."""
    if into is not NONE:
        raise CannotTraceError("an output of its own for what changes nothing")
    return x


@form(CollapsedEnd)
def collapsed_end(program: Program, cell: CollapsedEnd, x: Section, into: Section) -> Section:
    """The linear end of a network, for inference: one convolution, and the corrections at the sides."""
    end, more = cell.end, x.channels - x.n
    n_out, n_in, height, width = end.inner.weight.shape
    before = SPREAD_ABOVE_PX - end.padding[0]
    after = [2 * 3 - before - side for side in (height, width)]
    if end.offset or n_in != x.n or min(before, *after) < 0:
        raise CannotTraceError(f"the library does not have {height} x {width} px, {n_in} channels")
    margins = ((0, 0), (0, more), (before, after[0]), (before, after[1]))
    quarters = np.pad(end.inner.weight, margins).reshape(n_out, x.channels, 2, 3, 2, 3)
    weight = quarters.transpose(0, 2, 4, 1, 3, 5).reshape(n_out, 4 * x.channels, 3, 3)
    program.border = {
        place: Kernel(np.pad(kernel.weight, ((0, 0), (0, more), (0, 0), (0, 0))), kernel.bias)
        for place, kernel in end.border.items()
    }
    return program.spread_conv(x, Tensor(weight), Tensor(end.inner.bias), shuffle=end.scale)


@form(EDSR)
def edsr(program: Program, cell: EDSR, x: Section, into: Section) -> Section:
    """The whole network."""
    x = head = trace(program, cell.head, trace(program, cell.subtract_mean, x))
    for block in cell.body:
        x = trace(program, block, x)
    x = program.conv(x, checked(cell.body_end), skip=head)
    x = trace(program, cell.tail, trace(program, cell.upsampler, x))
    return trace(program, cell.add_mean, x)


@form(ESRN)
def esrn(program: Program, cell: ESRN, x: Section, into: Section) -> Section:
    """The whole network. The outputs of all blocks are sections of one buffer, so that nothing is concatenated."""
    shallow = trace(program, cell.head, trace(program, cell.subtract_mean, x))
    x = trace(program, cell.enter, shallow)
    outputs = program.buffer(sum(block.n_out for block in cell.blocks), Fraction(1))
    first = 0
    for block in cell.blocks:
        whole_vectors(program, block.n_out)
        x = trace(program, block, x, outputs.part(first, block.n_out))
        first += block.n_out
    x = program.conv(outputs, checked(cell.fuse[0]))
    x = program.conv(x, checked(cell.fuse[1]), skip=shallow)
    return trace(program, cell.add_mean, trace(program, cell.upsampler, x))


def whole_vectors(program: Program, n_channels: int) -> None:
    """Check that sections of so many channels lie beside each other without padding.

    Raises:
        CannotTraceError: they do not.
    """
    if n_channels != program.library.padded(n_channels):
        raise CannotTraceError(f"{n_channels} channels are no whole vectors of {program.library.lanes}")


@form(ShrinkBlock, GroupBlock, ContextBlock)
def dense(program: Program, cell: Any, x: Section, into: Section) -> Section:
    """A block of ESRN: its convolutions write into one buffer, section by section."""
    if into is NONE:
        into = program.buffer(cell.n_out, program.size_of(x))
    pools = isinstance(cell, ContextBlock)
    middle = cell.middle[1] if pools else cell.middle
    growth, n_convs = int(middle.convs[0].out_channels), len(middle.convs)
    whole_vectors(program, growth)
    sections = program.buffer((n_convs + 1) * growth, program.size_of(x) / (2 if pools else 1))
    entry = sections.part(0, growth)
    if cell.enters:
        entered = program.conv(x, checked(cell.enter), into=NONE if pools else entry)
    else:
        entered = x if pools else program.copy(x, entry)
    if pools:
        program.pool(entered, entry)
    grow(program, middle, sections, growth)
    if pools:
        sections = program.shuffle(sections, middle.up.factor)
    skip = x if cell.keeps_input else entered
    if not cell.keeps_input and not cell.keeps_entered:
        skip = program.conv(x, checked(cell.residual), into=into)
    return program.conv(sections, checked(middle.leave), skip=skip, into=into)


def grow(program: Program, middle: Any, sections: Section, growth: int) -> None:
    """Fill the sections after the first one."""
    for c, cell in enumerate(middle.convs):
        written = sections.part(0, (c + 1) * growth)
        to = sections.part((c + 1) * growth, growth)
        if not isinstance(middle, ShrinkingDense):
            program.conv(written, checked(cell), relu=True, sections=c + 1, into=to)
            continue
        y = program.conv(written, checked(middle.shrinks[c - 1])) if c else written
        for repeat in range(middle.repeats):
            y = program.conv(y, checked(cell), relu=True, into=to if repeat == middle.repeats - 1 else NONE)
