"""Run a whole network with the library, without gradients and without MindSpore."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from srtrain.arrays import Float32
from srtrain.kernels.border import Border
from srtrain.kernels.library import Library
from srtrain.kernels.verify import BadProgramError, verify
from srtrain.models.collapse import Kernel


class Forward:
    """A program and its parameters, ready to run.

    Args:
        library: runs the program.
        words: what ``Program.encode`` returns.
        parameters: the weights and biases that the program names by number.
        border: the corrections at the sides of the picture, if the end of the network is collapsed.

    Attributes:
        scale: factor by which height and width grow.
        n_in: channels of the input.

    Raises:
        BadProgramError: the program would read or write outside its memory, or the corrections do not fit it.
    """

    def __init__(
        self,
        library: Library,
        words: NDArray[np.int32],
        parameters: Sequence[Float32],
        border: Mapping[str, Kernel] = MappingProxyType({}),
    ) -> None:
        self._shape = verify(words, parameters, library.lanes)
        self.scale, self.n_in = self._shape.scale, self._shape.n_in
        self._border = self._border_of(border)
        self._library, self._words = library, np.ascontiguousarray(words)
        self._memory = np.empty(0, np.float32)
        self._packed = np.empty(library.c.srk_program_packed_size(self._words.ctypes.data), np.float32)
        held = [np.ascontiguousarray(value, np.float32) for value in parameters]
        places = (ctypes.c_void_p * len(held))(*(value.ctypes.data for value in held))
        library.c.srk_program_pack(self._words.ctypes.data, places, self._packed.ctypes.data)

    def _border_of(self, kernels: Mapping[str, Kernel]) -> Border | None:
        if self._shape.features is None:
            return None
        try:
            return Border(kernels, self._shape.features[1], self.scale, self._shape.n_out)
        except ValueError as error:
            raise BadProgramError(f"the file has {error}") from error

    def memory_bytes(self, height: int, width: int) -> int:
        """Return the memory that a picture of this size needs while it runs, beside its input and output."""
        more = int(self._shape.needs_even)
        return self._shape.memory_units * (height + more) * (width + more)

    def __call__(self, x: Float32) -> Float32:
        """Run it, picture by picture, which needs the memory of one.

        Args:
            x: (N, C, H, W).

        Raises:
            ValueError: another number of channels.
            MemoryError: none is left.
        """
        if self._shape.needs_even and (x.shape[2] % 2 or x.shape[3] % 2):
            odd = [side % 2 for side in x.shape[2:]]
            y = self(np.pad(x, ((0, 0), (0, 0), (0, odd[0]), (0, odd[1])), "edge"))
            return y[..., : x.shape[2] * self.scale, : x.shape[3] * self.scale]
        n, n_channels, height, width = x.shape
        if n_channels != self.n_in:
            raise ValueError(f"{n_channels} channels were given, but the network reads {self.n_in}")
        y = np.empty((n, self._shape.n_out, height * self.scale, width * self.scale), np.float32)
        n_floats = self.memory_bytes(height, width) // 4
        if not n_floats <= self._memory.size <= 4 * n_floats:
            self._memory = np.empty(0, np.float32)  # free the old piece before there is a new one
            self._memory = np.empty(n_floats, np.float32)
        shape = np.array([1, n_channels, height, width], np.int64)
        for picture, out in zip(np.ascontiguousarray(x, np.float32), y, strict=True):
            places = (self._words, self._packed, picture, shape, self._memory, out)
            if self._library.c.srk_program_run(*(array.ctypes.data for array in places)):
                raise MemoryError(f"there is no memory for a picture of {height} x {width} px")
            if self._border is not None and self._shape.features is not None:
                offset, channels = self._shape.features
                features = self._memory[offset * height * width // 4 :][: height * width * channels]
                self._border.correct(features.reshape(height, width, channels), out)
        return y
