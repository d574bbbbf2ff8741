"""Pictures of any size through an engine, in overlapping tiles.

    tiled = Tiled(open_engine("edsr_x2.onnx"), memory_bytes=1_500_000_000)
    sr = tiled(lq)                                    # as the engine itself, but of any size
    for place, sr in tiled.tiles(1080, 1920, read):   # or tile by tile, so that no whole picture is held
        ...

Convolutions look only so far. Where tiles overlap by that radius and only what lies inside of it is kept, the result
is that of the whole picture; the borders of the picture are those of the outer tiles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from srtrain.arrays import Float32
from srtrain.engines.engine import Engine
from srtrain.engines.memory import Gauge
from srtrain.errors import RecipeError, SrtrainError
from srtrain.models.ensemble import SelfEnsemble
from srtrain.models.receptive import receptive_px, size_multiple

Read = Callable[[slice, slice], Float32]
"""Gives these rows and columns of a picture as float32 NCHW RGB in [0, 255], N = 1."""

UNKNOWN_OVERLAP_PX = 32
"""For networks that do not say how far they look: tiles then cost a little, and it is said how much."""

_PROBE_PX = 128  # large enough to tell its memory from noise, small enough to take no time to speak of
_WARM_UP_PX = 48
_USED_SHARE = 0.8  # allocators round up, and what they took for the probe is of no use for larger tiles
_SMALLEST_CORE_PX = 32  # below that nearly all work would be overlap
_N_SAMPLES = 4


class Span(NamedTuple):
    """Along one side: what the network sees, and the part of it that is kept; half-open, in input pixels."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


class Place(NamedTuple):
    """Where a tile lies along both sides."""

    rows: Span
    columns: Span

    def seen(self) -> tuple[slice, slice]:
        """Return the rows and columns of the picture that the network sees."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    def kept(self, scale: int) -> tuple[slice, slice]:
        """Return the rows and columns that are kept, of a picture ``scale`` times larger."""
        return (
            slice(self.rows.keep_start * scale, self.rows.keep_stop * scale),
            slice(self.columns.keep_start * scale, self.columns.keep_stop * scale),
        )

    def inside(self, scale: int) -> tuple[slice, slice]:
        """Return the rows and columns that are kept, of this tile's output."""
        rows, columns = (
            slice((span.keep_start - span.start) * scale, (span.keep_stop - span.start) * scale)
            for span in self
        )
        return rows, columns


def cut(side: int, tile: int, overlap: int, multiple: int = 1) -> list[Span]:
    """Cover a side with tiles of one length; each keeps what lies ``overlap`` inside, or at the picture's border.

    A side shorter than a tile is one span, shorter than the tile. Tiles begin at a multiple of ``multiple``, for which
    the last one may be a little shorter; ``tile`` is at least that much longer than two overlaps.
    """
    if tile >= side:
        return [Span(0, side, 0, side)]
    step = (tile - 2 * overlap) // multiple * multiple
    last = math.ceil((side - tile) / multiple) * multiple
    starts = [*range(0, last, step), last]
    ends = [start + tile - overlap for start in starts[:-1]] + [side]
    return [
        Span(start, min(start + tile, side), keep_start, keep_stop)
        for start, keep_start, keep_stop in zip(starts, [0, *ends], ends, strict=False)
    ]


def best_tile(height: int, width: int, overlap: int, max_px: int) -> tuple[int, int]:
    """Return the (height, width) of tiles of at most ``max_px`` pixels that together compute the fewest pixels.

    Where nothing useful is as small as that, the smallest useful tile.
    """
    smallest = smallest_tile(overlap)
    best, least = (min(smallest, height), min(smallest, width)), math.inf
    tile_width, n_columns = width, 1
    while True:
        highest = max_px // tile_width
        if highest >= min(height, smallest):
            n_rows = 1 if highest >= height else math.ceil((height - 2 * overlap) / (highest - 2 * overlap))
            tile_height = math.ceil((height + 2 * overlap * (n_rows - 1)) / n_rows)
            computed = n_rows * tile_height * n_columns * tile_width
            if computed < least:
                best, least = (tile_height, tile_width), computed
        if tile_width <= smallest:
            return best
        n_columns += 1
        tile_width = max(smallest, math.ceil((width + 2 * overlap * (n_columns - 1)) / n_columns))


def smallest_tile(overlap: int) -> int:
    """Return the side of the smallest tile that is chosen without being asked for."""
    return 2 * overlap + _SMALLEST_CORE_PX


@dataclass
class OverlapCost:
    """What an overlap smaller than the radius changed, measured on some tiles of a picture, clipped to [0, 255]."""

    n_tiles: int = 0
    n_values: int = 0
    squared_error: float = 0.0
    max_difference: float = 0.0

    def add(self, sr: Float32, exact: Float32) -> None:
        """Count one tile."""
        difference = np.clip(sr, 0, 255).astype(np.float64) - np.clip(exact, 0, 255)
        self.n_tiles += 1
        self.n_values += difference.size
        self.squared_error += float(np.square(difference).sum())
        self.max_difference = max(self.max_difference, float(np.abs(difference).max()))

    @property
    def psnr(self) -> float:
        """RGB PSNR in dB of what was kept against what it should have been; infinite where nothing changed."""
        if self.squared_error == 0:
            return math.inf
        return 10 * math.log10(255**2 * self.n_values / self.squared_error)


class Tiled:
    """An engine that takes pictures of any size, and no more memory than it is given.

    Args:
        engine: runs the network; one that takes a single size gets tiles of that size, mirrored at their borders
            where the picture is smaller.
        tile_px: side of the squares that the network sees at once; ``None`` finds the largest for the memory.
        overlap_px: how far each tile looks beyond what is kept of it; ``None`` is as far as the network looks, so
            that no seam is there.
        memory_bytes: what the whole process may hold, pictures included; ``None`` cuts nothing that has no need.
        self_ensemble: mean over the eight orientations of each tile.
        say: is told what a user should know: a tile halved, an overlap's cost.

    Raises:
        RecipeError: a tile that its overlap leaves nothing of.
    """

    def __init__(
        self,
        engine: Engine,
        tile_px: int | None = None,
        overlap_px: int | None = None,
        memory_bytes: int | None = None,
        self_ensemble: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.engine = engine
        self.name, self.path, self.about, self.scale = engine.name, engine.path, engine.about, engine.scale
        self.radius_px = receptive_px(engine.about)
        self.multiple_px = size_multiple(engine.about)
        known = UNKNOWN_OVERLAP_PX if self.radius_px is None else self.radius_px
        self.overlap_px = known if overlap_px is None else overlap_px
        self.tile_px = tile_px
        self.memory_bytes = memory_bytes
        self.self_ensemble = self_ensemble
        self._say = say
        self._limit_px: int | None = None  # after memory ran out: what is tried next
        self._gauge = Gauge() if memory_bytes is not None else None
        self._run: Callable[[Float32], Float32] = self._fit
        if self_ensemble:
            self._run = SelfEnsemble(self._fit)
        if self.overlap_px < 0:
            raise RecipeError(f"an overlap of {self.overlap_px} px is none; give 0 or more.")
        if tile_px is not None and tile_px < 2 * self.overlap_px + self.multiple_px:
            raise RecipeError(self._too_small(tile_px))

    def __call__(self, lq: Float32) -> Float32:
        """Map float32 NCHW RGB in [0, 255] to the same at ``scale`` times the size, not clipped."""
        n, _, height, width = lq.shape
        sr = np.empty((n, 3, height * self.scale, width * self.scale), np.float32)
        for i in range(n):

            def read(rows: slice, columns: slice, i: int = i) -> Float32:
                return lq[i : i + 1, :, rows, columns]

            for place, tile in self.tiles(height, width, read, 2 * lq.nbytes + sr.nbytes):
                rows, columns = place.kept(self.scale)
                sr[i : i + 1, :, rows, columns] = tile
        return sr

    def tiles(
        self, height: int, width: int, read: Read, held_bytes: int = 0
    ) -> Iterator[tuple[Place, Float32]]:
        """Yield each tile's place and the part of its output that is kept, float32 NCHW, not clipped.

        When memory runs out, all tiles begin again, smaller.

        Args:
            height: of the picture, in pixels, as is ``width``.
            read: gives parts of it.
            held_bytes: what the caller holds, and is going to, for this picture.

        Raises:
            SrtrainError: not even small tiles fit into memory.
            RecipeError: a network of one size that the overlap leaves nothing of.
        """
        while True:
            tile = self._tile(height, width, held_bytes)
            try:
                yield from self._all(self._places(height, width, tile), height, width, read)
                return
            except MemoryError as error:
                self._halve(tile, error)

    def _all(
        self, places: list[Place], height: int, width: int, read: Read
    ) -> Iterator[tuple[Place, Float32]]:
        n_samples = min(_N_SAMPLES, len(places)) if self._has_cost(len(places)) else 0
        samples = {round((i + 0.5) * len(places) / n_samples - 0.5) for i in range(n_samples)}
        cost = OverlapCost()
        progress = tqdm(places, desc="tiles", unit="tile", leave=False, delay=2, disable=None)
        for i, place in enumerate(progress):
            sr = self._one(place, read)
            if i in samples:
                cost.add(sr, self._exact(place, height, width, read))
            yield place, sr
        if samples:
            self._report(cost, len(places))

    def _one(self, place: Place, read: Read) -> Float32:
        """Return what is kept of one tile."""
        sr = self._run(read(*place.seen()))
        rows, columns = place.inside(self.scale)
        return sr[..., rows, columns]

    def _fit(self, lq: Float32) -> Float32:
        """Run the engine on a tile, whose size it may not take as it is."""
        if self.engine.input_px is None or lq.shape[2:] == self.engine.input_px:
            sr = self.engine(lq)
            if self._gauge is not None:
                self._gauge.ran(lq.shape[2] * lq.shape[3])
            return sr
        height, width = lq.shape[2:]
        sr = np.empty((1, 3, height * self.scale, width * self.scale), np.float32)
        tile_height, tile_width = self.engine.input_px
        for place in self._places(height, width, self.engine.input_px):
            rows, columns = place.seen()
            seen = lq[..., rows, columns]
            missing = (0, tile_height - seen.shape[2]), (0, tile_width - seen.shape[3])
            out = self.engine(np.pad(seen, ((0, 0), (0, 0), *missing), "symmetric"))
            (rows, columns), (from_rows, from_columns) = place.kept(self.scale), place.inside(self.scale)
            sr[..., rows, columns] = out[..., from_rows, from_columns]
        return sr

    def _places(self, height: int, width: int, tile: tuple[int, int]) -> list[Place]:
        for side, length in zip((height, width), tile, strict=True):
            if length < side and length < 2 * self.overlap_px + self.multiple_px:
                raise RecipeError(self._too_small(length))
        spans = (
            cut(side, length, self.overlap_px, self.multiple_px)
            for side, length in zip((height, width), tile, strict=True)
        )
        return [Place(*pair) for pair in itertools.product(*spans)]

    def _tile(self, height: int, width: int, held_bytes: int) -> tuple[int, int]:
        """Return the (height, width) of the tiles of a picture."""
        if self.engine.input_px is not None:
            longest = max(self.engine.input_px)  # the eight orientations of a square are squares
            return (longest, longest) if self.self_ensemble else self.engine.input_px
        if self._limit_px is not None:
            return best_tile(height, width, self.overlap_px, self._limit_px)
        if self.tile_px is not None:
            return min(self.tile_px, height), min(self.tile_px, width)
        if self.memory_bytes is None or height * width <= _PROBE_PX**2:
            return height, width
        max_px = self._affordable_px(self.memory_bytes - held_bytes)
        return best_tile(height, width, self.overlap_px, max_px)

    def _affordable_px(self, free_bytes: int) -> int:
        """Return how many pixels the network may see at once."""
        gauge = self._probed()
        bytes_per_px = gauge.bytes_per_px
        if self.self_ensemble:
            bytes_per_px += 4 * 12 * self.scale**2  # sum, mean and turned copies of the output
        left = _USED_SHARE * (free_bytes - gauge.base_bytes)
        if left < smallest_tile(self.overlap_px) ** 2 * bytes_per_px:
            self._tell(
                "the memory leaves nothing for tiles beside the picture and what is loaded: they are as small as is "
                "useful, and more memory is taken"
            )
        return max(0, int(left / bytes_per_px))

    def _probed(self) -> Gauge:
        """Return a gauge that has seen the engine run."""
        if (
            self._gauge is None or self._gauge.n_px <= _WARM_UP_PX**2
        ):  # what more left behind is no part of the base
            self.engine(np.zeros((1, 3, _WARM_UP_PX, _WARM_UP_PX), np.float32))  # compiles
            self._gauge = Gauge()
        if self._gauge.n_px < _PROBE_PX**2 // 2:
            self._fit(np.zeros((1, 3, _PROBE_PX, _PROBE_PX), np.float32))
        return self._gauge

    def _tell(self, text: str) -> None:
        if self._say is not None:
            self._say(text)

    def _halve(self, tile: tuple[int, int], error: MemoryError) -> None:
        height, width = tile
        if self.engine.input_px is not None or height * width <= smallest_tile(self.overlap_px) ** 2:
            raise SrtrainError(
                f"memory ran out with a tile of {width}×{height} px, and it cannot be smaller. Close "
                f"other programs, or take a smaller network or --overlap."
            ) from error
        self._limit_px = height * width // 2
        self._tell(f"memory ran out with tiles of {width}×{height} px: going on with half of that")

    def _has_cost(self, n_tiles: int) -> bool:
        """Return whether an overlap smaller than the radius leaves seams that somebody wants measured."""
        if (
            self._say is None
            or n_tiles == 1
            or (self.radius_px is not None and self.overlap_px >= self.radius_px)
        ):
            return False
        if self.engine.input_px is not None and min(self.engine.input_px) <= 2 * self._exact_margin():
            self._tell(
                f"what an overlap of {self.overlap_px} px costs cannot be measured with tiles this small"
            )
            return False
        return True

    def _exact_margin(self) -> int:
        return 2 * self.overlap_px + UNKNOWN_OVERLAP_PX if self.radius_px is None else self.radius_px

    def _exact(self, place: Place, height: int, width: int, read: Read) -> Float32:
        """Return what is kept of a tile as the whole picture gives it, or nearly where the radius is not known."""
        margin = self._exact_margin()
        spans = []
        for span, side in zip(place, (height, width), strict=True):
            start, stop = max(0, span.keep_start - margin), min(side, span.keep_stop + margin)
            start -= start % self.multiple_px
            spans.append(Span(start, stop, span.keep_start, span.keep_stop))
        around = Place(*spans)
        if self.engine.input_px is None:
            return self._one(around, read)
        exact = Tiled(self.engine, overlap_px=margin, self_ensemble=self.self_ensemble)
        return exact._one(around, read)

    def _report(self, cost: OverlapCost, n_tiles: int) -> None:
        against = (
            f"one of {self._exact_margin()} px (how far this network looks is not known)"
            if self.radius_px is None
            else f"the {self.radius_px} px that the network looks"
        )
        self._tell(
            f"an overlap of {self.overlap_px} px instead of {against}: {cost.psnr:.1f} dB (RGB), at most "
            f"{cost.max_difference:.2g} grey levels apart, measured on {cost.n_tiles} of {n_tiles} tiles"
        )

    def _too_small(self, side: int) -> str:
        return (
            f"a tile of {side} px is too small: {self.overlap_px} px of each side are overlap. Take tiles of at least "
            f"{2 * self.overlap_px + self.multiple_px} px, better {4 * self.overlap_px} or more, or a smaller overlap."
        )
