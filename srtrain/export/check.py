"""The check that an exported file computes the same as the checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from srtrain.arrays import Float32
from srtrain.data.embedded import embedded
from srtrain.data.picture import read_rgb
from srtrain.errors import ExportError
from srtrain.export.format import LIMIT
from srtrain.export.options import Options

ADVICE = (
    "To make a network exportable, use srtrain.models.blocks.PixelShuffle, and do not reshape to numbers that come "
    "from the shape of the input."
)

_SHAPES = ((1, 1, 1), (1, 7, 5), (2, 9, 16))  # batch, height, width
_PHOTO_SHAPE = (1, 45, 34)  # larger than the size that MindSpore traced
_SEED = 255

Upscale = Callable[[Float32], Float32]


@dataclass(frozen=True)
class Difference:
    """Result of a comparison.

    Attributes:
        largest: largest difference of any value, in grey levels of 255. If the output exceeds 255, the difference is
            divided by (largest value / 255), because float32 rounds in proportion.
        shapes: (batch, height, width) of the inputs.
    """

    largest: float
    shapes: tuple[tuple[int, int, int], ...]

    def within(self, limit: float = LIMIT) -> bool:
        """Return whether the difference is finite and within the limit."""
        return self.largest <= limit


def compare(reference: Upscale, candidate: Upscale, options: Options) -> Difference:
    """Run both on noise and on a photograph, and compare the outputs.

    The inputs are 1 x 1, of odd size, not square, and in a batch; or only of the size that the options fix.

    Raises:
        ExportError: the candidate fails for one of the sizes, or returns another shape.
    """
    largest, shapes = 0.0, []
    for lq in inputs(options):
        shape = (lq.shape[0], lq.shape[2], lq.shape[3])
        wanted = reference(lq)
        try:
            got = candidate(lq)
        except (RuntimeError, ValueError) as error:
            raise ExportError(
                f"the exported file fails for (batch, height, width) = {shape}: {error}"
            ) from error
        if got.shape != wanted.shape:
            raise ExportError(
                f"for (batch, height, width) = {shape}, the exported file returns the shape {got.shape} instead of "
                f"{wanted.shape}: the network contains a fixed size. {ADVICE}"
            )
        difference = float(np.abs(got - wanted).max()) / max(1.0, float(np.abs(wanted).max()) / 255)
        largest = float(np.maximum(largest, difference))  # unlike max(), keeps NaN
        shapes.append(shape)
    return Difference(largest, tuple(shapes))


def inputs(options: Options) -> list[Float32]:
    """Return the pictures for the comparison, float32 NCHW RGB in [0, 255]."""
    if options.input_px is not None:
        return [_noise(n, *options.input_px) for n in ([options.batch] if options.batch else [1, 2])]
    shapes = [(options.batch or n, height, width) for n, height, width in _SHAPES]
    n, height, width = _PHOTO_SHAPE
    photo = read_rgb(embedded(1, names=("chelsea",))[0].gt)[100 : 100 + height, 140 : 140 + width]
    chw = photo.transpose(2, 0, 1).astype(np.float32)
    return [*(_noise(*shape) for shape in shapes), np.stack([chw] * (options.batch or n))]


def _noise(n: int, height: int, width: int) -> Float32:
    generator = np.random.default_rng(_SEED)
    return generator.uniform(0, 255, (n, 3, height, width)).astype(np.float32)
