"""Results of an evaluation, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from srtrain.arrays import UInt8
from srtrain.errors import counted


@dataclass(frozen=True)
class PictureScore:
    """The score of one picture: PSNR in dB, SSIM, and the seconds that upscaling took."""

    name: str
    psnr: float
    ssim: float
    bicubic_psnr: float
    seconds: float


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
        psnr: in dB, mean over the pictures; ``ssim`` and ``bicubic_psnr`` are means too.
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
    scores: tuple[PictureScore, ...] = field(default=(), repr=False)
    examples: tuple[Example, ...] = field(default=(), repr=False)

    def plain(self) -> dict[str, Any]:
        """Return the mean scores as JSON values; ``EvalResult(**values)`` has them again, without single pictures."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("scores", "examples")}

    @property
    def gain(self) -> float:
        """PSNR above bicubic interpolation, in dB."""
        return self.psnr - self.bicubic_psnr

    @property
    def tag(self) -> str:
        """A short key for plots and files: ``set5`` or ``set5_x8``."""
        return self.benchmark if self.method == "plain" else f"{self.benchmark}_x8"

    def __str__(self) -> str:
        return (
            f"{self.benchmark} ({self.method}): PSNR {self.psnr:.3f} dB, SSIM {self.ssim:.4f}, "
            f"bicubic {self.bicubic_psnr:.3f} dB, gain {self.gain:+.3f} dB  "
            f"[{counted(self.n_pictures, 'picture')}, {self.protocol}]"
        )
