"""How a network from other software takes its pictures, and the conversion from and to ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srtrain.arrays import Float32
from srtrain.engines.foreign.ranges import RANGES
from srtrain.models.ensemble import of_channels

Array = NDArray[Any]
Run = Callable[[Array], Array]
"""Runs a network on a batch as the network takes it."""


@dataclass(frozen=True)
class Declared:
    """What a file says about its input.

    Attributes:
        shape: four sides, ``None`` where the file accepts any; empty if it does not say.
        dtype: ``float32``, ``float16``, ``float64`` or ``uint8``.
    """

    shape: tuple[int | None, ...] = ()
    dtype: str = "float32"


@dataclass(frozen=True)
class Form:
    """How a network takes and returns its pictures.

    Attributes:
        dtype: of the input.
        n_channels: 3 for RGB, or 1 for brightness.
        channels_last: whether the input is NHWC and not NCHW.
        values_in: range of the input, a key of ``RANGES``.
        values_out: range of the output.
        scale: factor by which height and width grow.
        input_px: the only (height, width) of the input, or ``None`` for any.
        multiple_px: both sides of the input must be multiples of this number.
        least_px: shortest side of the input.
    """

    dtype: str = "float32"
    n_channels: int = 3
    channels_last: bool = False
    values_in: str = "0-255"
    values_out: str = "0-255"
    scale: int = 1
    input_px: tuple[int, int] | None = None
    multiple_px: int = 1
    least_px: int = 1

    def to_theirs(self, lq: Float32) -> Array:
        """Convert float32 NCHW in [0, 255], with the network's number of channels, to what the network takes."""
        black, white = RANGES[self.values_in]
        given: Array = lq if (black, white) == (0, 255) else lq * np.float32((white - black) / 255) + black
        if self.dtype == "uint8":
            given = np.clip(np.rint(given), 0, 255)
        if self.channels_last:
            given = given.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(given, self.dtype)

    def from_theirs(self, out: Array) -> Float32 | None:
        """Convert an output to float32 NCHW in [0, 255]; ``None`` if it has no shape of pictures."""
        if out.ndim != 4 or self.n_channels not in (out.shape[1], out.shape[3]):
            return None
        if out.shape[1] != self.n_channels:
            out = out.transpose(0, 3, 1, 2)
        black, white = RANGES[self.values_out]
        sr = out.astype(np.float32, copy=False)
        return (
            sr if (black, white) == (0, 255) else (sr - np.float32(black)) * np.float32(255 / (white - black))
        )

    def summary(self, how: str) -> str:
        """Return one sentence for the user; ``how`` says where the range of values comes from."""
        n = self.multiple_px
        facts = [f"scale {self.scale}", f"values in {_interval(self.values_in)} ({how})"]
        if self.values_out != self.values_in:
            facts.append(f"output in {_interval(self.values_out)}")
        if self.n_channels == 1:
            facts.append("one channel, so it upscales the brightness, and colours are bicubic")
        if self.dtype != "float32":
            facts.append(f"{self.dtype} input")
        if self.channels_last:
            facts.append("channels last")
        if self.input_px:
            facts.append(f"tiles of {self.input_px[0]} x {self.input_px[1]} px")
        elif n > 1 or self.least_px > 1:
            facts.append(
                f"sides are continued by mirroring to multiples of {n} px, at least {self.least_px} px"
            )
        order = "" if self.n_channels == 1 else "; the order RGB is assumed"
        return f"the file has no srtrain metadata, so it was examined: {', '.join(facts)}{order}"


class Adapter:
    """A network from other software as a function of float32 NCHW RGB in [0, 255]. The output is not clipped.

    Pictures of other sizes than the network accepts are continued by their mirror image, and the output is cut. A
    network of one channel receives the brightness; the colour differences are enlarged by bicubic interpolation.
    """

    def __init__(self, run: Run, form: Form) -> None:
        self.run, self.form = run, form
        self._upscale = of_channels(self._in_their_channels, form.n_channels)

    def __call__(self, lq: Float32) -> Float32:
        """Upscale a batch of pictures of one size."""
        return self._upscale(lq)

    def _in_their_channels(self, lq: Float32) -> Float32:
        form = self.form
        height, width = lq.shape[2:]
        missing = [
            max(form.least_px, side) + -max(form.least_px, side) % form.multiple_px - side
            for side in (height, width)
        ]
        seen = np.pad(lq, ((0, 0), (0, 0), *((0, n) for n in missing)), "symmetric") if any(missing) else lq
        sr = form.from_theirs(self.run(form.to_theirs(seen)))
        if sr is None:
            raise ValueError("the output has another shape than the one that was examined")
        return sr[..., : height * form.scale, : width * form.scale]


def _interval(values: str) -> str:
    black, white = RANGES[values]
    return f"[{black:g}, {white:g}]"
