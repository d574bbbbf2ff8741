"""Check a program from a file, so that a wrong or hostile one reads and writes nothing outside its memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from srtrain.arrays import Float32
from srtrain.kernels.library import DIRECT
from srtrain.kernels.program import Kind

HEADER_WORDS, BUFFER_WORDS, STEP_WORDS, N_SECTIONS = 4, 5, 23, 4
"""Lengths of what ``Program.encode`` writes, before the constants, and the sections that a step may name."""

_METHODS, _MOST_CHANNELS, _MOST_TIMES = (0, 2, 4), 1 << 16, 64
_NONE = (-1, 0, 0)


class BadProgramError(Exception):
    """What is wrong with a program."""


@dataclass(frozen=True)
class Shape:
    """What a checked program maps: channels in and out, factor of the size, and memory in ``Program.tape_units``.

    ``features`` is where the last features are before a collapsed end, in the same unit, and their channels.
    ``needs_even`` is whether height and width of the input must be even.
    """

    n_in: int
    n_out: int
    scale: int
    memory_units: int
    features: tuple[int, int] | None
    needs_even: bool


@dataclass(frozen=True)
class _Buffer:
    offset: int
    channels: int
    size: Fraction


@dataclass(frozen=True)
class _Section:
    buffer: _Buffer
    first: int
    channels: int

    @property
    def is_whole(self) -> bool:
        return self.first == 0 and self.channels == self.buffer.channels


class _Step:
    """One step as numbers; asking for a section checks it."""

    def __init__(self, words: Sequence[int], buffers: Sequence[_Buffer], lanes: int, method: int) -> None:
        self.kind, self.parameter = words[:2]
        self._places = [tuple(words[k : k + 3]) for k in (2, 5, 8, 11)]
        self.n_in, self.n_out, self.kernel, self.shuffle, self.sections, self.groups = words[14:20]
        self.relu, self.spread = words[20:22]
        self._buffers, self._lanes, self.method = buffers, lanes, method

    def has(self, index: int) -> bool:
        """Return whether there is a section: 0 the source, 1 the target, 2 the skip, 3 the mask of a gradient."""
        return self._places[index] != _NONE

    def section(self, index: int) -> _Section:
        number, first, channels = self._places[index]
        need(0 <= number < len(self._buffers), "a buffer that there is not")
        buffer = self._buffers[number]
        need(first >= 0 and channels > 0 and first + channels <= buffer.channels, "channels outside a buffer")
        need(first % self._lanes == 0 and channels % self._lanes == 0, "channels that are no whole vectors")
        return _Section(buffer, first, channels)

    def padded(self, n_channels: int) -> int:
        return -(-n_channels // self._lanes) * self._lanes


def need(holds: bool, wrong: str) -> None:
    """Raise an error if something does not hold.

    Raises:
        BadProgramError: with what is wrong.
    """
    if not holds:
        raise BadProgramError(f"the program has {wrong}")


def verify(words: NDArray[np.int32], parameters: Sequence[Float32], lanes: int) -> Shape:
    """Check every place that a program without gradients reads or writes; return what it maps.

    Raises:
        BadProgramError: it is no program, or one that this library must not run.
    """
    need(words.dtype == np.int32 and words.ndim == 1 and len(words) >= HEADER_WORDS, "no header")
    numbers: list[int] = words.tolist()
    n_buffers, n_steps, method, gradient_size = numbers[:HEADER_WORDS]
    need(n_buffers > 0 and n_steps > 1 and method in _METHODS and gradient_size == 0, "a wrong header")
    steps_at = HEADER_WORDS + BUFFER_WORDS * n_buffers
    n_constants = len(numbers) - steps_at - STEP_WORDS * n_steps
    need(n_constants >= 0, "fewer words than it says")
    buffers = [
        _buffer(numbers[HEADER_WORDS + BUFFER_WORDS * k :][:BUFFER_WORDS], lanes) for k in range(n_buffers)
    ]
    steps = [
        _Step(numbers[steps_at + STEP_WORDS * k :][:STEP_WORDS], buffers, lanes, method)
        for k in range(n_steps)
    ]
    kinds = [step.kind for step in steps]
    ends = [kind for kind in kinds if kind in (Kind.ENTER, Kind.LEAVE)]
    need([kinds[0], kinds[-1]] == ends == [Kind.ENTER, Kind.LEAVE], "no input first or output last")
    for step in steps:
        need(step.kind in _CHECKS, "an unknown step")
        check, used = _CHECKS[step.kind]
        need(
            not any(step.has(index) for index in range(N_SECTIONS) if index not in used), "a section too many"
        )
        check(step, parameters, n_constants)
    last = steps[-1]
    memory_units = max(buffer.offset + int(4 * buffer.channels * buffer.size**2) for buffer in buffers)
    scale, features = last.section(0).buffer.size * last.shuffle, None
    need(scale.denominator == 1, "an output of half a size")
    if steps[-2].spread:
        features = steps[-2].section(0)
        need(features.is_whole and features.buffer.size == 1, "a collapsed end of a wrong size")
    return Shape(
        steps[0].n_in,
        last.n_in // last.shuffle**2,
        int(scale),
        memory_units,
        None if features is None else (features.buffer.offset, features.channels),
        any(buffer.size.denominator > 1 for buffer in buffers),
    )


def _buffer(words: Sequence[int], lanes: int) -> _Buffer:
    is_gradient, offset, channels, times, over = words
    need(is_gradient == 0 and offset >= 0 and over in (1, 2), "a wrong buffer")
    need(
        0 < channels <= _MOST_CHANNELS and channels % lanes == 0 and 0 < times <= _MOST_TIMES,
        "a wrong buffer",
    )
    return _Buffer(offset, channels, Fraction(times, over))


def _enter(step: _Step, parameters: Sequence[Float32], n_constants: int) -> None:
    to = step.section(1)
    need(step.n_in > 0 and to.is_whole and to.channels == step.padded(step.n_in), "a wrong input")
    need(to.buffer.size == 1, "a wrong input")


def _leave(step: _Step, parameters: Sequence[Float32], n_constants: int) -> None:
    source = step.section(0)
    need(step.n_in > 0 and source.is_whole and source.channels == step.padded(step.n_in), "a wrong output")
    need(0 < step.shuffle <= _MOST_TIMES and step.n_in % step.shuffle**2 == 0, "a wrong output")


def _shift(step: _Step, parameters: Sequence[Float32], n_constants: int) -> None:
    need(0 < step.n_in <= step.section(1).channels, "a wrong shift")
    need(0 <= step.parameter <= n_constants - step.n_in, "a wrong shift")


def _conv(step: _Step, parameters: Sequence[Float32], n_constants: int) -> None:
    source, to = step.section(0), step.section(1)
    sizes = (step.n_in, step.n_out, step.shuffle, step.sections, step.groups)
    need(min(sizes) > 0 and step.kernel in (1, 3), "a wrong convolution")
    need(step.relu in (0, 1) and step.spread in (0, 1), "a wrong convolution")
    real, rest = divmod(step.n_out, step.shuffle**2)
    need(rest == 0 and step.n_in % step.groups == step.n_out % step.groups == 0, "a wrong convolution")
    need(step.n_in % step.sections == 0, "a wrong convolution")
    read = 4 * source.channels if step.spread else source.channels
    need(read == step.padded(step.n_in) and to.channels == step.padded(real), "a wrong convolution")
    if step.spread:
        need(step.n_in == read and step.kernel == 3 and step.method != DIRECT, "a wrong collapsed end")
    need(to.buffer.size == source.buffer.size * step.shuffle, "a convolution of a wrong size")
    if step.has(2):
        skip = step.section(2)
        need(step.shuffle == 1 and skip.channels == to.channels, "a wrong skip connection")
        need(skip.buffer.size == to.buffer.size, "a wrong skip connection")
    need(0 <= step.parameter < len(parameters) - 1, "a convolution without weights")
    wanted = (step.n_out, step.n_in // step.groups, step.kernel, step.kernel)
    need(parameters[step.parameter].shape == wanted, "weights of a wrong shape")
    need(parameters[step.parameter + 1].shape == wanted[:1], "a bias of a wrong shape")


def _add(step: _Step, parameters: Sequence[Float32], n_constants: int) -> None:
    places = [step.section(index) for index in (0, 1, 2) if index < 2 or step.has(2)]
    need(len({(place.channels, place.buffer.size) for place in places}) == 1, "a wrong sum")


def _pool(step: _Step, parameters: Sequence[Float32], n_constants: int) -> None:
    source, to = step.section(0), step.section(1)
    need(source.channels == to.channels and source.buffer.size == 2 * to.buffer.size, "a wrong mean")


def _shuffle(step: _Step, parameters: Sequence[Float32], n_constants: int) -> None:
    source, to = step.section(0), step.section(1)
    need(step.shuffle > 0 and 0 < step.n_in <= source.channels, "a wrong shuffle")
    real, rest = divmod(step.n_in, step.shuffle**2)
    need(rest == 0 and real <= to.channels, "a wrong shuffle")
    need(to.buffer.size == source.buffer.size * step.shuffle, "a wrong shuffle")


_CHECKS: dict[int, tuple[Callable[[_Step, Sequence[Float32], int], None], tuple[int, ...]]] = {
    Kind.ENTER: (_enter, (1,)),
    Kind.LEAVE: (_leave, (0,)),
    Kind.SHIFT: (_shift, (1,)),
    Kind.CONV: (_conv, (0, 1, 2)),
    Kind.ADD: (_add, (0, 1, 2)),
    Kind.POOL: (_pool, (0, 1)),
    Kind.SHUFFLE: (_shuffle, (0, 1)),
}
"""The check of a step and the sections that it uses, by its kind; steps of gradients have none."""
