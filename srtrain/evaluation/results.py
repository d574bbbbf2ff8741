"""Results of an evaluation, as plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from srtrain.arrays import UInt8
from srtrain.errors import counted, listing


@dataclass(frozen=True)
class PictureScore:
    """The score of one picture: PSNR in dB, SSIM, and the seconds that upscaling took.

    A PSNR is infinite if the pictures are equal. A score is NaN if the picture is too small for it.
    """

    name: str
    psnr: float
    ssim: float
    bicubic_psnr: float
    seconds: float

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Return PSNR, SSIM and the PSNR of bicubic interpolation."""
        return self.psnr, self.ssim, self.bicubic_psnr


@dataclass(frozen=True)
class Example:
    """An evaluated picture; ``lq``, ``sr`` and ``gt`` are uint8 HWC RGB."""

    name: str
    lq: UInt8
    sr: UInt8
    gt: UInt8
    score: PictureScore


@dataclass(frozen=True)
class EvalResult:
    """The scores of one model on one benchmark.

    Attributes:
        benchmark: its name in the recipe.
        protocol: the protocol in words; print it beside every score.
        method: ``plain`` or ``self-ensemble x8``.
        psnr: in dB, mean over the pictures whose PSNR is finite; infinite if all pictures are equal to their ground
            truth.
        ssim: mean over the pictures that are large enough; NaN if there is none.
        bicubic_psnr: of bicubic interpolation, as ``psnr``.
        left_out: which pictures are not in a mean, and why; empty if all are.
        common_gain: mean gain over the pictures that are in both PSNR means; ``None`` if both have the same pictures.
        ranked: mean PSNR in which an infinite one counts ``EQUAL_DB``; ``None`` if no one is infinite.
        scores: one for each picture, over all ranks, in the order of the benchmark.
        examples: the first few pictures of this rank.
    """

    benchmark: str
    protocol: str
    method: str
    n_pictures: int
    psnr: float
    ssim: float
    bicubic_psnr: float
    seconds: float
    left_out: str = ""
    common_gain: float | None = None
    ranked: float | None = None
    scores: tuple[PictureScore, ...] = field(default=(), repr=False)
    examples: tuple[Example, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name in ("psnr", "ssim", "bicubic_psnr", "common_gain"):  # see ``plain``
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, float(value))

    def plain(self) -> dict[str, Any]:
        """Return the mean scores as JSON values; ``EvalResult(**values)`` has them again, without single pictures.

        JSON has no infinity and no NaN, so these are text.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("scores", "examples")}
        return {name: value if finite(value) is value else str(value) for name, value in values.items()}

    @property
    def gain(self) -> float:
        """PSNR above bicubic interpolation, in dB."""
        return self.psnr - self.bicubic_psnr if self.common_gain is None else self.common_gain

    @property
    def rank(self) -> float:
        """The number to compare two evaluations of the same pictures by; higher is better."""
        return self.psnr if self.ranked is None else self.ranked

    @property
    def tag(self) -> str:
        """A short key for plots and files: ``set5`` or ``set5_x8``."""
        return self.benchmark if self.method == "plain" else f"{self.benchmark}_x8"

    def __str__(self) -> str:
        return (
            f"{self.benchmark} ({self.method}): PSNR {shown(self.psnr)} dB, SSIM {shown(self.ssim, '.4f')}, "
            f"bicubic {shown(self.bicubic_psnr)} dB, gain {shown(self.gain, '+.3f')} dB  "
            f"[{counted(self.n_pictures, 'picture')}, {self.protocol}]{self.left_out and f'; {self.left_out}'}"
        )


def describe_left_out(scores: Sequence[PictureScore]) -> str:
    """Return which pictures cannot be part of a mean, and why; empty if all can."""
    groups = {
        "too small to be scored inside the border": [s.name for s in scores if math.isnan(s.psnr)],
        "too small for SSIM, so not in its mean": [
            s.name for s in scores if math.isnan(s.ssim) and not math.isnan(s.psnr)
        ],
        "equal to the ground truth (infinite PSNR), so not in the mean PSNR": [
            s.name for s in scores if math.isinf(s.psnr)
        ],
        "equal to the ground truth in bicubic interpolation, so not in its mean PSNR": [
            s.name for s in scores if math.isinf(s.bicubic_psnr)
        ],
    }
    return "; ".join(
        f"{len(names)} of {counted(len(scores), 'picture')} {reason}: {listing(names, 5)}"
        for reason, names in groups.items()
        if names
    )


def finite(value: Any) -> Any:
    """Return the value, or ``None`` for a number that JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shown(value: float, form: str = ".3f") -> str:
    """Return a number as text; ``n/a`` where there is none."""
    return "n/a" if math.isnan(value) else format(value, form)
