"""Whether an exported file computes what the checkpoint does: asked of every file, before anybody gets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from srtrain.arrays import Float32
from srtrain.data.embedded import embedded
from srtrain.data.picture import read_rgb
from srtrain.errors import ExportError
from srtrain.export.options import Options

LIMIT = 1e-3
"""In grey levels of [0, 255]: a tenth of a percent of what rounding to 8 bit changes at most."""

ADVICE = (
    "Networks that can be exported take srtrain.models.blocks.PixelShuffle, which becomes one operator, and reshape to "
    "no number that comes from the input's shape."
)

_SHAPES = ((1, 1, 1), (1, 7, 5), (2, 9, 16))  # batch, height, width
_PHOTO_SHAPE = (1, 45, 34)  # larger than what MindSpore traced
_SEED = 255

Upscale = Callable[[Float32], Float32]


@dataclass(frozen=True)
class Difference:
    """What a comparison found.

    Attributes:
        largest: difference of any value, in grey levels; where a network leaves [0, 255], of its own largest value
            taken as 255, since float32 rounds in proportion.
        shapes: of the inputs that were compared: batch, height, width.
    """

    largest: float
    shapes: tuple[tuple[int, int, int], ...]

    @property
    def passed(self) -> bool:
        """Whether it is small enough; what is no number is not."""
        return self.largest <= LIMIT


def compare(reference: Upscale, candidate: Upscale, options: Options) -> Difference:
    """Run both on noise and on a photograph: 1 x 1, odd, not square, several at once, or the only size there is.

    Raises:
        ExportError: the candidate fails, or gives another shape, at one of the sizes.
    """
    largest, shapes = 0.0, []
    for lq in inputs(options):
        shape = (lq.shape[0], lq.shape[2], lq.shape[3])
        wanted = reference(lq)
        try:
            got = candidate(lq)
        except (RuntimeError, ValueError) as error:
            raise ExportError(
                f"the exported file fails on (batch, height, width) = {shape}: {error}"
            ) from error
        if got.shape != wanted.shape:
            raise ExportError(
                f"the exported file makes {got.shape} of (batch, height, width) = {shape} instead of {wanted.shape}: "
                f"a size is baked into the network. {ADVICE}"
            )
        difference = float(np.abs(got - wanted).max()) / max(1.0, float(np.abs(wanted).max()) / 255)
        largest = float(np.maximum(largest, difference))  # unlike max(), keeps what is no number
        shapes.append(shape)
    return Difference(largest, tuple(shapes))


def inputs(options: Options) -> list[Float32]:
    """Return the pictures that are compared, float32 NCHW RGB in [0, 255]."""
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
