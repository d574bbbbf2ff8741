"""Protocols: the colour and border of a score. A PSNR means little without its protocol.

    protocol = PROTOCOLS.build("paper_y")
    protocol.psnr(quantise(sr), gt, scale=2)     # a number in dB ...
    protocol.describe(scale=2)                   # ... and the text that is printed beside it

To measure differently, register a function that returns your own ``Protocol``; see docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srtrain.errors import DataError, RecipeError, SrtrainError, did_you_mean, listing
from srtrain.metrics import METRICS, PROTOCOLS
from srtrain.metrics.colour import luma
from srtrain.metrics.psnr import psnr
from srtrain.metrics.ssim import WINDOW_PX, ssim

_COLOURS = {"y": "Y of BT.601", "rgb": "RGB"}


@dataclass(frozen=True)
class Protocol:
    """How two pictures are compared.

    Attributes:
        name: its registered name, printed beside every score.
        colour: ``"y"`` for Y of BT.601 alone, ``"rgb"`` for all three channels.
        border_per_scale: pixels cut from each side, multiplied by the scale.
        border_extra_px: additional pixels cut from each side.
    """

    name: str
    colour: str
    border_per_scale: int = 1
    border_extra_px: int = 0

    def __post_init__(self) -> None:
        if self.colour not in _COLOURS:
            raise RecipeError(
                f"protocol {self.name!r}: colour is {self.colour!r}.{did_you_mean(self.colour, _COLOURS)} "
                f"Allowed: {listing(_COLOURS)}."
            )
        for field in ("border_per_scale", "border_extra_px"):
            if getattr(self, field) < 0:
                raise RecipeError(
                    f"protocol {self.name!r}: {field} is {getattr(self, field)!r}; it must be 0 or more."
                )

    def border_px(self, scale: int) -> int:
        """Return the number of pixels cut from each side."""
        return self.border_per_scale * scale + self.border_extra_px

    def measurable(self, gt: NDArray[np.uint8], scale: int) -> tuple[str, ...]:
        """Return which of ``psnr`` and ``ssim`` can be measured on a ground truth of this size."""
        inside = min(gt.shape[:2]) - 2 * self.border_px(scale)
        least = {"psnr": 1, "ssim": WINDOW_PX}
        return tuple(name for name, px in least.items() if inside >= px)

    def describe(self, scale: int) -> str:
        """Return the text printed beside a score, such as ``paper_y (Y of BT.601, 2 px border, 8 bit)``."""
        return self._words(f"{self.border_px(scale)} px border")

    def __str__(self) -> str:
        per_scale = {0: "", 1: "scale"}.get(self.border_per_scale, f"{self.border_per_scale} x scale")
        extra = str(self.border_extra_px) if self.border_extra_px or not per_scale else ""
        return self._words(f"border = {' + '.join(part for part in (per_scale, extra) if part)} px")

    def _words(self, border: str) -> str:
        return f"{self.name} ({_COLOURS[self.colour]}, {border}, 8 bit)"

    def psnr(self, sr: NDArray[np.uint8], gt: NDArray[np.uint8], scale: int) -> float:
        """Return the PSNR in decibel, infinity for identical pictures; arguments as in ``score``."""
        return psnr(*self._planes(sr, gt, scale))

    def ssim(self, sr: NDArray[np.uint8], gt: NDArray[np.uint8], scale: int) -> float:
        """Return the mean SSIM in [-1, 1]; arguments as in ``score``."""
        return ssim(*self._planes(sr, gt, scale))

    def score(
        self,
        sr: NDArray[np.uint8],
        gt: NDArray[np.uint8],
        scale: int,
        metrics: Sequence[str] = ("psnr", "ssim"),
    ) -> dict[str, float]:
        """Measure several registered metrics and convert the pictures only once.

        Args:
            sr: the output, uint8 HWC RGB; ``quantise`` makes it.
            gt: the ground truth, uint8 HWC RGB, cropped (bottom, right) to a multiple of the scale.
            scale: upscaling factor, on which the border depends.
            metrics: names in the registry METRICS.

        Raises:
            DataError: a picture is not uint8 HWC RGB, the shapes differ, or nothing is left inside the border.
            UnknownNameError: a metric is not registered.
        """
        functions = {name: METRICS.get(name) for name in metrics}
        planes = self._planes(sr, gt, scale)
        return {name: function(*planes) for name, function in functions.items()}

    def _planes(
        self, sr: NDArray[np.uint8], gt: NDArray[np.uint8], scale: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Check both pictures, cut the border and convert the colour; return float64 HWC."""
        _check_picture("sr", sr)
        _check_picture("gt", gt)
        if sr.shape != gt.shape:
            raise DataError(
                f"sr is {_size(sr)} and gt is {_size(gt)} (height x width), and pictures of different size "
                f"cannot be compared. A ground truth whose size is no multiple of the scale ({scale}) is "
                f"cropped at the bottom and right first."
            )
        border_px = self.border_px(scale)
        if min(sr.shape[:2]) <= 2 * border_px:
            raise DataError(
                f"protocol {self.describe(scale)} cuts {border_px} px from each side, and nothing is left of "
                f"a picture of {_size(sr)} (height x width). Leave this picture out of the benchmark."
            )
        inner = slice(border_px, -border_px or None)
        return self._colours(sr[inner, inner]), self._colours(gt[inner, inner])

    def _colours(self, rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
        return luma(rgb)[:, :, np.newaxis] if self.colour == "y" else rgb.astype(np.float64)


def quantise(picture: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Convert a network's output to the 8-bit picture that is measured and saved.

    Values are clipped to [0, 255] and rounded to the nearest integer. Halves are rounded up, as by MATLAB's ``uint8``;
    ``numpy.round`` would round them to even. Truncating instead costs about 0.05 dB at 35 dB.

    Args:
        picture: values in [0, 255], or slightly outside; any shape.

    Raises:
        SrtrainError: a value is NaN or infinite.
    """
    finite = np.isfinite(picture)
    if not finite.all():
        raise SrtrainError(
            f"{np.count_nonzero(~finite)} of {picture.size} values of the network's output are not finite "
            f"numbers. The weights have diverged, or 16-bit arithmetic overflows: try float32."
        )
    clipped = np.clip(picture, 0, 255)
    floor = np.floor(clipped)
    # floor(x + 0.5) would round the largest number below a half up, because the sum itself is rounded.
    return (floor + (clipped - floor >= 0.5)).astype(np.uint8)


def _check_picture(what: str, picture: NDArray[np.generic]) -> None:
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise DataError(
            f"{what} has the shape {picture.shape}; a protocol compares RGB pictures: (height, width, 3). "
            f"Repeat a grey picture three times, and drop an alpha channel."
        )
    if picture.dtype != np.uint8:
        raise DataError(
            f"{what} is {picture.dtype}; scores are taken on 8-bit pictures, as they would be saved. Call "
            f"quantise() on an output in [0, 255] first."
        )


def _size(picture: NDArray[np.generic]) -> str:
    return f"{picture.shape[0]} x {picture.shape[1]}"


@PROTOCOLS.register
def paper_y() -> Protocol:
    """Set5, Set14, B100 and Urban100 in papers: Y alone, a border of ``scale`` pixels."""
    return Protocol("paper_y", colour="y")


@PROTOCOLS.register
def div2k_rgb() -> Protocol:
    """DIV2K validation in the EDSR paper: RGB, a border of ``scale + 6`` pixels."""
    return Protocol("div2k_rgb", colour="rgb", border_extra_px=6)


@PROTOCOLS.register
def basicsr_rgb() -> Protocol:
    """BasicSR's tables: RGB, a border of ``scale`` pixels."""
    return Protocol("basicsr_rgb", colour="rgb")
