"""The effect of a tile overlap that is smaller than the receptive radius of the network, measured on some tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from srtrain.arrays import Float32
from srtrain.engines.tile_plan import Place, Span

UNKNOWN_OVERLAP_PX = 32
"""Overlap for networks whose receptive radius is unknown. Tiles then change the output a little, as a note says."""

_N_SAMPLES = 4


@dataclass
class OverlapCost:
    """Differences between tiles and exact results, both clipped to [0, 255]."""

    n_tiles: int = 0
    n_values: int = 0
    squared_error: float = 0.0
    max_difference: float = 0.0

    def add(self, sr: Float32, exact: Float32) -> None:
        """Add one tile."""
        difference = np.clip(sr, 0, 255).astype(np.float64) - np.clip(exact, 0, 255)
        self.n_tiles += 1
        self.n_values += difference.size
        self.squared_error += float(np.square(difference).sum())
        self.max_difference = max(self.max_difference, float(np.abs(difference).max()))

    @property
    def psnr(self) -> float:
        """RGB PSNR of the tiles against the exact results, in dB; infinite if they are equal."""
        if self.squared_error == 0:
            return math.inf
        return 10 * math.log10(255**2 * self.n_values / self.squared_error)


@dataclass(frozen=True)
class Overlap:
    """The overlap of tiles, and the receptive radius of the network where it is known.

    Attributes:
        px: pixels at each side of a tile that are not kept.
        radius_px: receptive radius of the network, or ``None`` if it is unknown.
        multiple_px: tiles start at multiples of this number.
    """

    px: int
    radius_px: int | None
    multiple_px: int

    @property
    def is_exact(self) -> bool:
        """Whether tiles give exactly what the whole picture gives."""
        return self.radius_px is not None and self.px >= self.radius_px

    @property
    def exact_px(self) -> int:
        """Overlap with which tiles are exact, or nearly exact if the radius is unknown."""
        return 2 * self.px + UNKNOWN_OVERLAP_PX if self.radius_px is None else self.radius_px

    def samples(self, n_tiles: int) -> set[int]:
        """Return the tiles to compare with exact results: a few, spread over the picture; none if tiles are exact."""
        if n_tiles == 1 or self.is_exact:
            return set()
        n_samples = min(_N_SAMPLES, n_tiles)
        return {round((i + 0.5) * n_tiles / n_samples - 0.5) for i in range(n_samples)}

    def widened(self, place: Place, height: int, width: int) -> Place:
        """Return a place that keeps the same pixels, but sees ``exact_px`` around them, within the picture."""
        spans = []
        for span, side in zip(place, (height, width), strict=True):
            start = max(0, span.keep_start - self.exact_px)
            start -= start % self.multiple_px
            stop = min(side, span.keep_stop + self.exact_px)
            spans.append(Span(start, stop, span.keep_start, span.keep_stop))
        return Place(*spans)

    def report(self, cost: OverlapCost, n_tiles: int) -> str:
        """Return the measured cost as a sentence."""
        exact = (
            f"one of {self.exact_px} px (the receptive radius of this network is unknown)"
            if self.radius_px is None
            else f"the network's receptive radius of {self.radius_px} px"
        )
        return (
            f"an overlap of {self.px} px instead of {exact} changes the output: PSNR {cost.psnr:.1f} dB (RGB), at most "
            f"{cost.max_difference:.2g} grey levels, measured on {cost.n_tiles} of {n_tiles} tiles"
        )
