"""The effect of a tile overlap that is smaller than the receptive radius of the network.

If the radius is unknown, a test picture shows whether the network sees further than a wider overlap. If it does not,
some tiles are compared with tiles that have the wider overlap. If it does, all tiles are compared with the whole
picture. Where that does not fit into memory, wider tiles give an estimate, which is too good.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from srtrain.arrays import Float32
from srtrain.engines.tile_plan import Place, Span

UNKNOWN_OVERLAP_PX = 32
"""Overlap for networks whose receptive radius is unknown. Tiles then change the output a little, as a note says."""

_N_SAMPLES = 4
_MARGIN_PX = 32  # of the test picture beside the distance that is tested
_NOISE = 1e-4  # differences below, as a share of the output's largest value, are rounding


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

    def report(self, cost: OverlapCost, n_tiles: int, sees_all: bool, compared_with_whole: bool) -> str:
        """Return the cost as a sentence.

        Args:
            cost: of the tiles that were compared.
            n_tiles: number of all tiles of the picture.
            sees_all: whether the network sees further than ``exact_px``.
            compared_with_whole: whether the output for the whole picture is the reference.
        """
        found = f"PSNR {cost.psnr:.1f} dB (RGB), at most {cost.max_difference:.2g} grey levels"
        counts = f"on {cost.n_tiles} of {n_tiles} tiles"
        if not sees_all:
            exact = (
                f"one of {self.exact_px} px (the receptive radius of this network is unknown)"
                if self.radius_px is None
                else f"the network's receptive radius of {self.radius_px} px"
            )
            return f"an overlap of {self.px} px instead of {exact} changes the output: {found}, measured {counts}"
        changed = (
            f"this network sees the whole picture, so tiles with an overlap of {self.px} px change its output"
        )
        if compared_with_whole:
            return f"{changed}: {found}, measured against the output for the whole picture"
        return (
            f"{changed}. The whole picture does not fit into the memory limit, so this is only an estimate, from an "
            f"overlap of {self.exact_px} px {counts}: {found}; the true difference is larger. Give more memory for an "
            f"exact output"
        )


def sees_beyond(run: Callable[[Float32], Float32], px: int, size: tuple[int, int] | None = None) -> bool:
    """Return whether an output pixel depends on input pixels that are further away than ``px``.

    All pixels further away from a corner turn white, which changes their mean, their deviation and their largest value.

    Args:
        run: the network.
        px: the distance in input pixels.
        size: the only (height, width) that the network accepts; if it is too small, the answer is ``False``.
    """
    height, width = size or (px + _MARGIN_PX, px + _MARGIN_PX)
    if max(height, width) <= px:
        return False
    lq = np.random.default_rng(0).uniform(0, 128, (1, 3, height, width)).astype(np.float32)
    outputs = []
    for _ in range(2):
        sr = run(lq)
        scale = sr.shape[2] // height
        outputs.append(sr[..., :scale, :scale].astype(np.float64))  # of the pixel in the corner
        lq = lq.copy()
        lq[..., px + 1 :, :] = lq[..., px + 1 :] = 255
    one, other = outputs
    return bool(np.abs(one - other).max() > _NOISE * max(1.0, float(np.abs(one).max())))
