"""A network, or a part of one, as a list of steps that one operator runs, and its gradient as another list.

``source/program.c`` reads what ``Program.encode`` writes. Pictures are NHWC, with channels padded to whole vectors.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from srtrain.arrays import Float32
from srtrain.kernels.library import DIRECT, Library
from srtrain.models.collapse import Kernel

if TYPE_CHECKING:  # programs from files run without MindSpore
    from mindspore import Parameter, nn

Weights: TypeAlias = "Parameter | Float32"


class CannotTraceError(Exception):
    """The library cannot run a cell, which therefore runs as MindSpore runs it."""


class Kind(IntEnum):
    """What a step does; the numbers are those of program.c."""

    ENTER = 0
    LEAVE = 1
    SHIFT = 2
    CONV = 3
    CONV_BACK = 4
    CONV_GRADIENT = 5
    ADD = 6
    POOL = 7
    POOL_BACK = 8
    SHUFFLE = 9
    SHUFFLE_BACK = 10


@dataclass(frozen=True)
class Section:
    """Channels ``first`` to ``first + channels`` of a buffer; they are padded, and ``n`` are real.

    A pixel shuffle by ``shuffle`` is still to be done, if that is not 1: when the output is written.
    """

    buffer: int
    first: int
    channels: int
    n: int
    shuffle: int = 1

    def part(self, first: int, channels: int) -> Section:
        """Return some of its channels."""
        return Section(self.buffer, self.first + first, channels, channels)


NONE = Section(-1, 0, 0, 0)


@dataclass(frozen=True)
class Step:
    """One step; its kind decides which fields count. ``parameter`` is the number of a weight, whose bias follows it."""

    kind: Kind
    source: Section = NONE
    to: Section = NONE
    skip: Section = NONE
    mask: Section = NONE
    parameter: int = 0
    n_in: int = 0
    n_out: int = 0
    kernel: int = 1
    shuffle: int = 1
    sections: int = 1
    groups: int = 1
    relu: bool = False
    spread: bool = False
    scale: float = 1.0

    @property
    def buffers(self) -> set[int]:
        """The numbers of the buffers that it reads or writes."""
        return {s.buffer for s in (self.source, self.to, self.skip, self.mask) if s is not NONE}

    def words(self) -> list[int]:
        """Return the step as program.c reads it."""
        places = [
            number
            for s in (self.source, self.to, self.skip, self.mask)
            for number in (s.buffer, s.first, s.channels)
        ]
        sizes = (self.n_in, self.n_out, self.kernel, self.shuffle, self.sections, self.groups)
        flags = (int(self.relu), int(self.spread), int(np.float32(self.scale).view(np.int32)))
        return [int(self.kind), self.parameter, *places, *sizes, *flags]


@dataclass(frozen=True)
class Buffer:
    """Memory for one picture of each image: its channels, its size over that of the input, and where it begins.

    The unit of ``offset`` is a quarter of a float for each pixel of the input, so that pictures of half the size begin
    at whole numbers.
    """

    is_gradient: bool
    offset: int
    channels: int
    size: Fraction

    @functools.cached_property
    def units(self) -> int:
        """Its length in the unit of offsets."""
        return int(4 * self.channels * self.size**2)

    def words(self) -> list[int]:
        """Return the buffer as program.c reads it."""
        return [int(self.is_gradient), self.offset, self.channels, self.size.numerator, self.size.denominator]


class Memory:
    """Places of one piece of memory, of different sizes: the first gap that is large enough."""

    def __init__(self) -> None:
        self.size = 0
        self._taken: list[tuple[int, int]] = []  # offset and end, sorted

    def take(self, units: int) -> int:
        """Reserve a place; return where it begins."""
        offset = 0
        for first, end in self._taken:
            if first - offset >= units:
                break
            offset = end
        self._taken = sorted([*self._taken, (offset, offset + units)])
        self.size = max(self.size, offset + units)
        return offset

    def give_back(self, offset: int) -> None:
        """Free the place that begins here."""
        self._taken = [place for place in self._taken if place[0] != offset]


@dataclass
class Program:
    """Steps, in the order in which they run, and what they need.

    Attributes:
        library: what runs the program.
        method: of 3x3 convolutions.
        has_gradient: whether it trains, so that there may only be steps that have a gradient.
        parameters: weights and biases that the steps name by number.
        output: of the program; set by ``leave``.
        border: the corrections at the sides of the picture, if its end is collapsed.
    """

    library: Library
    method: int
    has_gradient: bool = True
    buffers: list[Buffer] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    parameters: list[Weights] = field(default_factory=list)
    constants: list[float] = field(default_factory=list)
    output: Section = NONE
    border: Mapping[str, Kernel] = field(default_factory=dict)

    # ---- writing it ----

    def buffer(self, n_channels: int, size: Fraction) -> Section:
        """Reserve memory for ``n_channels`` at ``size`` times the height and width of the input."""
        channels = self.library.padded(n_channels)
        self.buffers.append(Buffer(False, self.tape_units, channels, size))
        return Section(len(self.buffers) - 1, 0, channels, n_channels)

    @property
    def tape_units(self) -> int:
        """Size of the memory of all buffers, in the unit of offsets."""
        return max((buffer.offset + buffer.units for buffer in self.buffers), default=0)

    def size_of(self, x: Section) -> Fraction:
        """Return the size of a section over that of the input."""
        return self.buffers[x.buffer].size

    def enter(self, n_channels: int) -> Section:
        """Read the input."""
        x = self.buffer(n_channels, Fraction(1))
        self.steps.append(Step(Kind.ENTER, to=x, n_in=n_channels))
        return x

    def leave(self, x: Section) -> None:
        """Write the output."""
        self.steps.append(Step(Kind.LEAVE, source=x, n_in=x.n, shuffle=x.shuffle))
        self.output = x

    def shift(self, x: Section, constants: Sequence[float], scale: float = 1.0) -> Section:
        """Add a constant to each channel and multiply, in place: for pictures whose values nobody needs before."""
        self.steps.append(
            Step(Kind.SHIFT, to=x, n_in=len(constants), parameter=len(self.constants), scale=scale)
        )
        self.constants += constants
        return x

    def conv(
        self,
        x: Section,
        cell: nn.Conv2d,
        *,
        relu: bool = False,
        skip: Section = NONE,
        scale: float = 1.0,
        shuffle: int = 1,
        sections: int = 1,
        into: Section = NONE,
    ) -> Section:
        """Convolve: ``relu(scale · conv(x)) + skip``, or a pixel shuffle of the convolution."""
        n_out, per_group, kernel_px, _ = cell.weight.shape
        if x.n != per_group * cell.group or (sections > 1 and x.channels != x.n):
            raise CannotTraceError(f"{x.n} channels for {cell}")
        if into is NONE:
            into = self.buffer(n_out // shuffle**2, self.size_of(x) * shuffle)
        step = Step(Kind.CONV, x, into, skip, n_in=x.n, n_out=n_out, kernel=kernel_px, shuffle=shuffle)
        step = replace(step, sections=sections, groups=cell.group, relu=relu, scale=scale)
        self._convolve(step, cell.weight, cell.bias)
        return into

    def spread_conv(self, step: Step, weight: Float32, bias: Float32) -> None:
        """Convolve windows of up to 6x6 pixels, as a convolution of 3x3 that reads four times the channels.

        Args:
            step: its sections, and what is done to the sum.
            weight: (n_out, n_in, 6, 6) for the pixels -2 to 3.
            bias: (n_out,).
        """
        if self.method == DIRECT or self.has_gradient:
            raise CannotTraceError("only Winograd's method has a spread input, and there is no gradient")
        n_out, n_in = weight.shape[:2]
        channels = step.source.channels
        weight = np.pad(weight, ((0, 0), (0, channels - n_in), (0, 0), (0, 0)))
        weight = weight.reshape(n_out, channels, 2, 3, 2, 3).transpose(0, 2, 4, 1, 3, 5)
        weight = weight.reshape(n_out, 4 * channels, 3, 3)
        step = replace(step, kind=Kind.CONV, n_in=4 * channels, n_out=n_out, kernel=3, spread=True)
        self._convolve(step, weight, bias)

    def _convolve(self, step: Step, weight: Weights, bias: Weights) -> None:
        self.steps.append(replace(step, parameter=len(self.parameters)))
        self.parameters += [weight, bias]

    def values(self) -> list[Float32]:
        """Return the present values of the parameters."""
        return [value if isinstance(value, np.ndarray) else value.asnumpy() for value in self.parameters]

    def copy(self, x: Section, into: Section) -> Section:
        """Copy a section."""
        self.steps.append(Step(Kind.ADD, x, into))
        return into

    def pool(self, x: Section, into: Section) -> Section:
        """Take the mean of 2 x 2 pixels."""
        self.steps.append(Step(Kind.POOL, x, into))
        return into

    def shuffle(self, x: Section, factor: int) -> Section:
        """Shuffle channels to pixels."""
        to = self.buffer(x.n // factor**2, self.size_of(x) * factor)
        self.steps.append(Step(Kind.SHUFFLE, x, to, n_in=x.n, shuffle=factor))
        return to

    @property
    def needs_even(self) -> bool:
        """Whether height and width of the input must be even."""
        return any(buffer.size.denominator > 1 for buffer in self.buffers)

    def encode(self, gradient_units: int = 0) -> NDArray[np.int32]:
        """Return the program as program.c reads it."""
        words = [len(self.buffers), len(self.steps), self.method, gradient_units]
        words += [word for buffer in self.buffers for word in buffer.words()]
        words += [word for step in self.steps for word in step.words()]
        constants = np.array(self.constants, np.float32).view(np.int32)
        return np.concatenate([np.array(words, np.int32), constants])

    def for_inference(self) -> Program:
        """Return the program with less memory: what a buffer takes is free again after the last step that uses it."""
        uses: dict[int, list[int]] = defaultdict(list)
        for index, step in enumerate(self.steps):
            for number in step.buffers:
                uses[number].append(index)
        memory = Memory()
        buffers = list(self.buffers)
        for index, step in enumerate(self.steps):
            for number in step.buffers:
                if uses[number][0] == index:
                    buffers[number] = replace(buffers[number], offset=memory.take(buffers[number].units))
            for number in step.buffers:
                if uses[number][-1] == index:
                    memory.give_back(buffers[number].offset)
        return replace(self, buffers=buffers)


class Gradient:
    """The program of a gradient, step by step from the end.

    The gradient of a buffer gets memory at its first contribution, and gives it back after the step that wrote the
    buffer.
    """

    def __init__(self, forward: Program) -> None:
        self.program = Program(forward.library, forward.method, buffers=list(forward.buffers))
        self._of: dict[int, int] = {}
        self._covered: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._memory = Memory()
        self._writers = [step.to.buffer for step in forward.steps]
        self._enter(forward.output)
        for index in reversed(range(len(forward.steps))):
            self._reverse(forward.steps[index])
            buffer = forward.steps[index].to.buffer
            if buffer in self._of and buffer not in self._writers[:index]:
                self._release(buffer)

    def encode(self) -> NDArray[np.int32]:
        """Return it as program.c reads it."""
        return self.program.encode(self._memory.size)

    # ---- memory ----

    def _section(self, x: Section) -> Section:
        """Return where the gradient of a section is."""
        if x.buffer not in self._of:
            like = self.program.buffers[x.buffer]
            offset = self._memory.take(like.units)
            self._of[x.buffer] = self._add(replace(like, is_gradient=True, offset=offset))
        return replace(x, buffer=self._of[x.buffer])

    def _add(self, buffer: Buffer) -> int:
        self.program.buffers.append(buffer)
        return len(self.program.buffers) - 1

    def _release(self, buffer: int) -> None:
        self._memory.give_back(self.program.buffers[self._of.pop(buffer)].offset)

    def _has(self, x: Section) -> bool:
        """Return whether there is a contribution to this section already; note that there will be one."""
        first, last = x.first, x.first + x.channels
        covered = self._covered[x.buffer]
        if any(a <= first and last <= b for a, b in covered):
            return True
        if any(a < last and first < b for a, b in covered):
            raise CannotTraceError("gradients of sections that overlap in part")
        covered.append((first, last))
        return False

    def _before(self, x: Section) -> Section:
        """Return the gradient so far as what a step adds to, or none."""
        return self._section(x) if self._has(x) else NONE

    # ---- steps ----

    def _enter(self, output: Section) -> None:
        self._has(output)
        self._put(Step(Kind.ENTER, to=self._section(output), n_in=output.n))

    def _put(self, step: Step) -> None:
        self.program.steps.append(step)

    def _reverse(self, step: Step) -> None:
        if step.kind == Kind.CONV:
            self._reverse_conv(step)
        elif step.kind == Kind.ADD:
            before = self._before(step.source)
            self._put(Step(Kind.ADD, self._section(step.to), self._section(step.source), before))
        elif step.kind == Kind.POOL:
            before = self._before(step.source)
            self._put(Step(Kind.POOL_BACK, self._section(step.to), self._section(step.source), before))
        elif step.kind == Kind.SHUFFLE:
            if self._has(step.source):
                raise CannotTraceError("a second reader of what is shuffled")
            dy, dx = self._section(step.to), self._section(step.source)
            self._put(Step(Kind.SHUFFLE_BACK, dy, dx, n_in=step.n_in, shuffle=step.shuffle))
        elif step.kind == Kind.SHIFT and step.scale != 1:
            self.program.shift(self._section(step.to), [0.0] * step.n_in, step.scale)
        elif step.kind == Kind.ENTER:
            self._put(Step(Kind.LEAVE, source=self._section(step.to), n_in=step.n_in))

    def _reverse_conv(self, step: Step) -> None:
        if step.spread:
            raise CannotTraceError("a gradient of a spread input")
        dy = self._section(step.to)
        if step.relu:
            self._mask(dy, step.to)
        self._put(replace(step, kind=Kind.CONV_GRADIENT, to=dy, skip=NONE, relu=False))
        # The source comes before the skip, which may be a section of it.
        before = self._before(step.source)
        dx = self._section(step.source)
        self._put(replace(step, kind=Kind.CONV_BACK, source=dy, to=dx, skip=before, relu=False))
        if step.skip not in (NONE, step.to) and not self._hand_over(step):
            before = self._before(step.skip)
            self._put(Step(Kind.ADD, dy, self._section(step.skip), before))

    def _mask(self, dy: Section, y: Section) -> None:
        """Let the gradient be 0 where the ReLU was: in the convolution that wrote it, if that is the last step.

        That convolution may have written other sections before this one, which have contributions to come.
        """
        last = self.program.steps[-1]
        wrote, ends = last.to, (last.to.first + last.to.channels, dy.first + dy.channels)
        covers = wrote.buffer == dy.buffer and wrote.first <= dy.first and ends[0] == ends[1]
        if last.kind == Kind.CONV_BACK and covers and last.mask == NONE:
            self.program.steps[-1] = replace(last, mask=y)
        else:
            self._put(Step(Kind.ADD, dy, dy, mask=y))

    def _hand_over(self, step: Step) -> bool:
        """Let the gradient of a skip have the memory of the output's, which nobody reads after this step."""
        skip, to = step.skip, step.to
        if skip.buffer in self._of:
            return False
        whole = all(
            x.first == 0 and x.channels == self.program.buffers[x.buffer].channels for x in (skip, to)
        )
        same = self.program.buffers[skip.buffer].units == self.program.buffers[to.buffer].units
        if not (whole and same and self._writers.count(to.buffer) == 1):
            return False
        self._has(skip)
        self._of[skip.buffer] = self._of.pop(to.buffer)
        return True
