"""How cells of srtrain/models become steps of a program, by class.

A class without a form here, and a class derived from one that has a form, run as MindSpore runs them. The convolutions
in them are programs of their own (training.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from mindspore import nn

from srtrain.arrays import Float32
from srtrain.kernels.library import load_library
from srtrain.kernels.program import NONE, CannotTraceError, Kind, Program, Section, Step
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
from srtrain.models.blocks.mean_shift import Denormalise, Normalise
from srtrain.models.collapse import Kernel
from srtrain.models.collapsed import CollapsedEnd
from srtrain.models.edsr import EDSR
from srtrain.models.esrn import ESRN
from srtrain.models.mdsr import MDSR
from srtrain.models.rdn import RDN, ResidualDenseBlock

Form = Callable[[Program, Any, Section, Section], Section]
"""Writes the steps of a cell for an input, and returns the output: a section that is given, or a new one."""

SPREAD_PX, SPREAD_ABOVE_PX = 6, 2
"""Rows or columns that a convolution of a spread input reads, and how many lie before the pixel (source/view.h)."""

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


def program_of(cell: nn.Cell, method: int, has_gradient: bool = True) -> Program:
    """Return the program of a cell.

    Args:
        cell: a network, or a part of one.
        method: of 3x3 convolutions.
        has_gradient: whether it is to be trained; more cells can be run without.

    Raises:
        CannotTraceError: the library cannot run it.
        CannotBuildError: there is no library on this machine.
    """
    program = Program(load_library(), method, has_gradient)
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
    """A 3x3 or 1x1 convolution with bias that keeps the size; 5x5 without a gradient."""
    return convolve(program, cell, x, into)


def convolve(
    program: Program,
    cell: nn.Conv2d,
    x: Section,
    into: Section = NONE,
    *,
    relu: bool = False,
    scale: float = 1.0,
    skip: Section = NONE,
) -> Section:
    """Write the step of a convolution; return its output.

    Raises:
        CannotTraceError: the library does not have it.
    """
    if program.has_gradient or cell.kernel_size != (5, 5):
        return program.conv(x, checked(cell), relu=relu, scale=scale, skip=skip, into=into)
    if type(cell) is not nn.Conv2d or not (keeps_size(cell) and cell.group == 1 and cell.has_bias):
        raise CannotTraceError(f"the library does not have {cell}")
    to = program.buffer(cell.out_channels, program.size_of(x)) if into is NONE else into
    weight, bias = (scale * value.asnumpy() for value in (cell.weight, cell.bias))
    program.spread_conv(Step(Kind.CONV, x, to, skip, relu=relu), spread(weight, 2), bias)
    return to


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
    y = convolve(program, cell.conv1, x, relu=True)
    return convolve(program, cell.conv2, y, into, scale=cell.res_scale, skip=x)


@form(MeanShift)
def shift(program: Program, cell: MeanShift, x: Section, into: Section) -> Section:
    """A constant for each channel, added in place: MeanShift stands first and last in a network."""
    return program.shift(x, constants_of(cell))


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
    n_out, n_in, *_ = end.inner.weight.shape
    if end.offset or n_in != x.n:
        raise CannotTraceError(f"an offset, or {x.n} channels for {n_in}")
    program.border = {
        place: Kernel(np.pad(kernel.weight, ((0, 0), (0, more), (0, 0), (0, 0))), kernel.bias)
        for place, kernel in end.border.items()
    }
    to = replace(program.buffer(n_out, program.size_of(x)), shuffle=end.scale)
    program.spread_conv(Step(Kind.CONV, x, to), spread(end.inner.weight, end.padding[0]), end.inner.bias)
    return to


def spread(weight: Float32, above: int) -> Float32:
    """Return a kernel in a window of 6x6 pixels, of which ``above`` are read above a pixel and to its left.

    Raises:
        CannotTraceError: it does not fit.
    """
    before = SPREAD_ABOVE_PX - above
    after = [SPREAD_PX - before - side for side in weight.shape[2:]]
    if min(before, *after) < 0:
        raise CannotTraceError(f"the library has no kernels of {weight.shape[2]} x {weight.shape[3]} px")
    return np.pad(weight, ((0, 0), (0, 0), (before, after[0]), (before, after[1])))


@form(Normalise)
def normalise(program: Program, cell: Normalise, x: Section, into: Section) -> Section:
    """The mean colour, and another range in place of [0, 255]."""
    return program.shift(x, constants_of(cell.subtract), factor_of(cell))


@form(Denormalise)
def denormalise(program: Program, cell: Denormalise, x: Section, into: Section) -> Section:
    """What ``normalise`` did, undone."""
    factor = factor_of(cell)
    return program.shift(x, [value / factor for value in constants_of(cell.add)], factor)


def factor_of(cell: Normalise | Denormalise) -> float:
    """Return the factor of all channels.

    Raises:
        CannotTraceError: each channel has its own, as with ``rgb_std``.
    """
    first, *others = {float(value) for value in cell.factor.asnumpy().ravel()}
    if others:
        raise CannotTraceError("the library has no factor for each colour")
    return first


def constants_of(cell: MeanShift) -> list[float]:
    """Return what a cell adds to each channel."""
    return [float(value) for value in cell.shift.asnumpy().ravel()]


@form(EDSR)
def edsr(program: Program, cell: EDSR, x: Section, into: Section) -> Section:
    """The whole network."""
    x = head = trace(program, cell.head, trace(program, cell.subtract_mean, x))
    for block in cell.body:
        x = trace(program, block, x)
    x = convolve(program, cell.body_end, x, skip=head)
    x = trace(program, cell.tail, trace(program, cell.upsampler, x))
    return trace(program, cell.add_mean, x)


@form(MDSR)
def mdsr(program: Program, cell: MDSR, x: Section, into: Section) -> Section:
    """The whole network at the scale that it was built with."""
    branch = cell.scales.index(cell.scale)
    x = trace(program, cell.head, trace(program, cell.subtract_mean, x))
    x = entered = trace(program, cell.enters[branch], x)
    for block in cell.body:
        x = trace(program, block, x)
    x = convolve(program, cell.body_end, x, skip=entered)
    x = trace(program, cell.tail, trace(program, cell.upsamplers[branch], x))
    return trace(program, cell.add_mean, x)


@form(ESRN, RDN)
def dense_network(program: Program, cell: ESRN | RDN, x: Section, into: Section) -> Section:
    """The whole network. The outputs of all blocks are sections of one buffer, so that nothing is concatenated."""
    shallow = trace(program, cell.head, trace(program, cell.subtract_mean, x))
    x = trace(program, cell.enter, shallow)
    widths = [int(getattr(block, "n_out", x.n)) for block in cell.blocks]
    outputs = program.buffer(sum(widths), Fraction(1))
    first = 0
    for block, width in zip(cell.blocks, widths, strict=True):
        whole_vectors(program, width)
        x = trace(program, block, x, outputs.part(first, width))
        first += width
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


@form(ResidualDenseBlock)
def residual_dense(program: Program, cell: ResidualDenseBlock, x: Section, into: Section) -> Section:
    """RDN's block: its convolutions write into one buffer, behind what they read."""
    growth = int(cell.convs[0].out_channels)
    whole_vectors(program, x.n)
    whole_vectors(program, growth)
    everything = program.buffer(x.n + len(cell.convs) * growth, program.size_of(x))
    program.copy(x, everything.part(0, x.n))
    for c, layer in enumerate(cell.convs):
        n_read = x.n + c * growth
        program.conv(
            everything.part(0, n_read), checked(layer), relu=True, into=everything.part(n_read, growth)
        )
    return program.conv(everything, checked(cell.leave), skip=x, into=into)


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
