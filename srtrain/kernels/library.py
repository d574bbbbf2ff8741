"""The library of convolutions, as Python sees it: NumPy arrays in NHWC, with channels padded to whole vectors."""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from ctypes import c_double, c_int, c_int64, c_void_p
from pathlib import Path

import numpy as np

from srtrain.arrays import Float32
from srtrain.kernels.compile import READY, CannotBuildError, instruction_set, library_file

DIRECT, F23, F43 = 0, 2, 4
"""How a 3x3 convolution is computed: directly, or by Winograd's F(2x2, 3x3) or F(4x4, 3x3)."""

_SIGNATURES = {
    "srk_lanes": (c_int, ()),
    "srk_set_threads": (None, (c_int,)),
    "srk_conv_new": (c_void_p, (c_void_p, c_void_p, c_int, c_int, c_int, c_int, c_int)),
    "srk_conv_free": (None, (c_void_p,)),
    "srk_conv_run": (c_int, (c_void_p, c_void_p, c_int, c_int, c_int, c_void_p, c_void_p)),
    "srk_nchw_to_nhwc": (None, (c_void_p, c_void_p, c_int, c_int64)),
    "srk_nhwc_to_nchw": (None, (c_void_p, c_void_p, c_int, c_int64)),
    "srk_program_packed_size": (c_int64, (c_void_p,)),
    "srk_program_pack": (None, (c_void_p, c_void_p, c_void_p)),
    "srk_program_run": (c_int, (c_void_p,) * 6),
    "srk_peak_flop": (c_double, (c_int,)),
}


class Library:
    """A built library.

    Attributes:
        instructions: ``AVX-512``, ``AVX2`` or ``portable``.
        lanes: floats in a vector; the channels of an array are padded with zeros to a multiple of it.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.instructions = instruction_set()
        self.c = ctypes.CDLL(str(file))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self.c, name)
            function.restype, function.argtypes = result, arguments
        self.lanes = int(self.c.srk_lanes())

    def padded(self, n_channels: int) -> int:
        """Return the number of channels that an array of ``n_channels`` real ones has."""
        return -(-n_channels // self.lanes) * self.lanes

    def set_threads(self, n_threads: int) -> None:
        """Use this many threads from now on, in the whole process."""
        self.c.srk_set_threads(n_threads)

    def from_nchw(self, picture: Float32, out: Float32) -> None:
        """Write a contiguous CHW picture into an HWC array with padded channels."""
        n_channels, height, width = picture.shape
        self.c.srk_nchw_to_nhwc(picture.ctypes.data, out.ctypes.data, n_channels, height * width)

    def to_nchw(self, array: Float32, out: Float32) -> None:
        """Write an HWC array with padded channels into a contiguous CHW picture."""
        n_channels, height, width = out.shape
        self.c.srk_nhwc_to_nchw(array.ctypes.data, out.ctypes.data, n_channels, height * width)

    def peak(self, rounds: int = 5) -> float:
        """Return the operations in a second of the innermost loop on data in the first-level cache."""
        n_repeats = 50
        return float(self.c.srk_peak_flop(n_repeats)) / best_seconds(
            lambda: self.c.srk_peak_flop(n_repeats), rounds
        )

    def speed_of_convolution(
        self, n_in: int = 64, n_out: int = 64, side_px: int = 128, method: int = F43, rounds: int = 5
    ) -> float:
        """Return how many operations of a direct 3x3 convolution it does in a second.

        F(4,3) needs a quarter of the multiplications, so this can exceed the peak.
        """
        generator = np.random.default_rng(0)
        x = generator.random((side_px, side_px, self.padded(n_in)), np.float32)
        y = np.empty((side_px, side_px, self.padded(n_out)), np.float32)
        weight = generator.standard_normal((n_out, n_in, 3, 3)).astype(np.float32)
        convolution = Convolution(self, weight, np.zeros(n_out, np.float32), method=method)
        return 2 * 9 * n_in * n_out * side_px**2 / best_seconds(lambda: convolution.run(x, y), rounds)


class Convolution:
    """A convolution with stride 1 that keeps height and width, its weights in the order in which they are read.

    Args:
        weight: (n_out, n_in, k, k), k = 1 or 3.
        bias: (n_out,).
        shuffle: factor of a pixel shuffle of the output, whose channels are in the order (r, r, C); 1 for none.
        method: of a 3x3 convolution.
    """

    def __init__(
        self, library: Library, weight: Float32, bias: Float32, shuffle: int = 1, method: int = F43
    ) -> None:
        n_out, n_in, kernel_px, _ = weight.shape
        self._library = library
        self.n_in, self.n_out, self.shuffle = n_in, n_out // shuffle**2, shuffle
        weight, bias = (np.ascontiguousarray(array, np.float32) for array in (weight, bias))
        self._handle = library.c.srk_conv_new(
            weight.ctypes.data, bias.ctypes.data, n_in, n_out, kernel_px, shuffle, method
        )
        if not self._handle:
            raise MemoryError("there is no memory for the weights of a convolution")

    def run(self, x: Float32, y: Float32, relu: bool = False, skip: Float32 | None = None) -> None:
        """Compute ``y = relu(conv(x) + bias) + skip``.

        Args:
            x: (H, W, padded n_in), contiguous.
            y: (H·r, W·r, padded n_out), contiguous; is overwritten.
            relu: whether there is one.
            skip: as ``y``; not with a shuffle.

        Raises:
            MemoryError: none is left for what the library works in.
        """
        height, width = x.shape[:2]
        beside = None if skip is None else skip.ctypes.data
        if self._library.c.srk_conv_run(
            self._handle, x.ctypes.data, height, width, int(relu), beside, y.ctypes.data
        ):
            raise MemoryError(f"there is no memory for a convolution of {height} x {width} px")

    def __del__(self) -> None:
        if handle := getattr(self, "_handle", None):
            self._library.c.srk_conv_free(handle)


def best_seconds(run: Callable[[], object], rounds: int) -> float:
    """Return the shortest time of several calls."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


@functools.cache
def load_library() -> Library:
    """Return the library, built if need be and checked once in a process.

    Raises:
        CannotBuildError: it cannot be built here, or it computes something else than it should.
    """
    library = _open(library_file())
    for method in (DIRECT, F23, F43):
        if (error := _self_check(library, method)) > 1e-4:
            raise CannotBuildError(
                f"the library {str(library.file)!r} is wrong by {error:.1g} of the largest value; delete it"
            )
    return library


def _open(file: Path) -> Library:
    """Open a built library; build it again if the file is damaged."""
    try:
        return Library(file)
    except (OSError, AttributeError):  # no library, or one without the functions
        if file.parent != READY:
            file.unlink(missing_ok=True)
    try:
        return Library(library_file(use_ready=False))
    except (OSError, AttributeError) as error:
        raise CannotBuildError(f"the library that was built cannot be opened: {error}") from error


def _self_check(library: Library, method: int) -> float:
    """Return the largest relative error of a small convolution."""
    generator = np.random.default_rng(0)
    n_in, n_out, height, width = 5, 7, 6, 9
    x = generator.standard_normal((n_in, height, width)).astype(np.float32)
    weight = generator.standard_normal((n_out, n_in, 3, 3)).astype(np.float32)
    bias = generator.standard_normal(n_out).astype(np.float32)
    wide = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    wanted = bias[:, None, None] + sum(
        np.tensordot(weight[:, :, i, j].astype(np.float64), wide[:, i : i + height, j : j + width], 1)
        for i in range(3)
        for j in range(3)
    )
    nhwc = np.empty((height, width, library.padded(n_in)), np.float32)
    out = np.empty((height, width, library.padded(n_out)), np.float32)
    got = np.empty((n_out, height, width), np.float32)
    library.from_nchw(x, nhwc)
    Convolution(library, weight, bias, method=method).run(nhwc, out)
    library.to_nchw(out, got)
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())
