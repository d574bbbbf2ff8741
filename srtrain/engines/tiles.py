"""Pictures of any size through an engine, in overlapping tiles.

    tiled = Tiled(open_engine("edsr_x2.onnx"), memory_bytes=1_500_000_000)
    sr = tiled(lq)                                    # like the engine itself, but for pictures of any size
    for place, sr in tiled.tiles(1080, 1920, read):   # or tile by tile, without holding the whole picture
        ...

An output pixel of a convolutional network depends only on input pixels within its receptive radius. If tiles overlap by
that radius and the overlap is cut off, the result is the same as for the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np

from srtrain.arrays import Float32
from srtrain.engines.engine import Engine
from srtrain.engines.memory import Gauge
from srtrain.engines.overlap import UNKNOWN_OVERLAP_PX, Overlap, OverlapCost, sees_beyond
from srtrain.engines.tile_plan import Place, best_tile, check_tile, places, smallest_tile
from srtrain.errors import RecipeError, SrtrainError
from srtrain.models.ensemble import SelfEnsemble
from srtrain.models.receptive import receptive_px, size_multiple

Read = Callable[[slice, slice], Float32]
"""Returns these rows and columns of a picture as float32 NCHW RGB in [0, 255], N = 1."""

_PROBE_PX = 128  # large enough to tell its memory from noise, small enough to run in no time
_WARM_UP_PX = 48
_EASY_PX = 512  # with tiles of this size, the overlap costs little time
_USED_SHARE = 0.8  # allocators round up, and memory of the probe is not reused for larger tiles


class Tiled:
    """An engine for pictures of any size that stays within a memory limit.

    Args:
        engine: runs the network. If it accepts only one size, tiles have that size; pictures that are smaller are
            mirrored at their borders.
        tile_px: side of square tiles; ``None`` chooses the largest tiles that the memory allows.
        overlap_px: pixels at each side of a tile that are cut off; ``None`` is the receptive radius, which leaves no
            seams.
        memory_bytes: memory limit of the whole process, pictures included, or of the card that the engine computes on;
            ``None`` means no limit.
        self_ensemble: take the mean over the eight orientations of each tile.
        say: receives notes for the user: that tiles were halved, or what an overlap changes.

    Raises:
        RecipeError: a negative overlap, or a tile that is all overlap.
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
        radius, multiple = receptive_px(engine.about), size_multiple(engine.about)
        exact = radius if radius is not None else UNKNOWN_OVERLAP_PX
        if radius is None and engine.input_px is not None:
            exact = min(exact, min(engine.input_px) // 4)
        self.overlap = Overlap(exact if overlap_px is None else overlap_px, radius, multiple)
        self.tile_px = tile_px
        self.memory_bytes = memory_bytes
        self.self_ensemble = self_ensemble
        self._say = say
        self._notes = True
        self._limit_px: int | None = None  # largest tile to try after memory ran out
        self._gauge = Gauge(engine.memory()) if memory_bytes is not None else None
        self._run: Callable[[Float32], Float32] = SelfEnsemble(self._fit) if self_ensemble else self._fit
        self._smallest_px = smallest_tile(self.overlap.px, multiple)
        if self.overlap.px < 0:
            raise RecipeError(f"an overlap of {self.overlap.px} px is not possible; give 0 or more.")
        if tile_px is not None:
            check_tile(tile_px, self.overlap.px, multiple)

    def __call__(self, lq: Float32) -> Float32:
        """Map float32 NCHW RGB in [0, 255] to ``scale`` times the height and width; the output is not clipped."""
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
        self, height: int, width: int, read: Read, held_bytes: int = 0, notes: bool = True
    ) -> Iterator[tuple[Place, Float32]]:
        """Yield each tile's place and the part of its output to keep, float32 NCHW, not clipped.

        When memory runs out, all tiles start again at half the size.

        Args:
            height: height of the picture in pixels.
            width: width of the picture in pixels.
            read: returns parts of the picture.
            held_bytes: memory that the caller holds, or will hold, for this picture.
            notes: whether to measure and tell what the overlap changes, and that the memory leaves no room.

        Raises:
            SrtrainError: even the smallest tiles do not fit into memory.
            RecipeError: the engine accepts one size, and the overlap leaves nothing of it.
        """
        self._notes = notes
        while True:
            tile = self._tile(height, width, held_bytes)
            try:
                yield from self._all(self._places((height, width), tile), height, width, read, held_bytes)
                return
            except MemoryError as error:
                self._halve(tile, error)

    def _all(
        self, tiles: list[Place], height: int, width: int, read: Read, held_bytes: int
    ) -> Iterator[tuple[Place, Float32]]:
        samples = self._samples(len(tiles))
        sees_all = bool(samples) and self._sees_all
        whole = self._whole(height, width, read, held_bytes) if sees_all else None
        cost = OverlapCost()
        from tqdm import tqdm  # takes a tenth of the start-up of a command

        progress = tqdm(tiles, desc="tiles", unit="tile", leave=False, delay=2, disable=None)
        for i, place in enumerate(progress):
            sr = self._one(place, read)
            if whole is not None:
                rows, columns = place.kept(self.scale)
                cost.add(sr, whole[..., rows, columns])
            elif i in samples:
                cost.add(sr, self._exact(self.overlap.widened(place, height, width), read))
            yield place, sr
        if samples:
            self._tell(self.overlap.report(cost, len(tiles), sees_all, whole is not None))

    @cached_property
    def _sees_all(self) -> bool:
        """Whether the network sees further than the overlap that is compared with; only where its radius is unknown."""
        overlap = self.overlap
        return overlap.radius_px is None and sees_beyond(self.engine, overlap.exact_px, self.engine.input_px)

    def _whole(self, height: int, width: int, read: Read, held_bytes: int) -> Float32 | None:
        """Return the output for the whole picture, or ``None`` if it does not fit into memory."""
        if self.engine.input_px is not None or self._limit_px is not None:
            return None
        if self.memory_bytes is not None:
            gauge = self._probed()
            free = _USED_SHARE * (self.memory_bytes - held_bytes - gauge.base_bytes)
            if height * width * (self._bytes_per_px(gauge) + 12 * self.scale**2) > free:
                return None
        try:
            return self._run(read(slice(0, height), slice(0, width)))
        except MemoryError:
            return None

    def _samples(self, n_tiles: int) -> set[int]:
        """Return the tiles on which the effect of the overlap is measured; none if nobody wants to know."""
        samples = set() if self._say is None or not self._notes else self.overlap.samples(n_tiles)
        input_px = self.engine.input_px
        if samples and input_px is not None and min(input_px) <= 2 * self.overlap.exact_px:
            self._tell(
                f"the effect of an overlap of {self.overlap.px} px cannot be measured with tiles this small"
            )
            return set()
        return samples

    def _one(self, place: Place, read: Read) -> Float32:
        """Return the part of one tile's output to keep."""
        sr = self._run(read(*place.seen()))
        rows, columns = place.inside(self.scale)
        return sr[..., rows, columns]

    def _exact(self, widened: Place, read: Read) -> Float32:
        """Return the same part of the output with an overlap that is large enough."""
        if self.engine.input_px is None:
            return self._one(widened, read)
        exact = Tiled(self.engine, overlap_px=self.overlap.exact_px, self_ensemble=self.self_ensemble)
        return exact._one(widened, read)

    def _fit(self, lq: Float32) -> Float32:
        """Run the engine on a tile; if the engine accepts only another size, in tiles of that size."""
        input_px = self.engine.input_px
        if input_px is None or lq.shape[2:] == input_px:
            sr = self.engine(lq)
            if self._gauge is not None:
                self._gauge.ran(lq.shape[2] * lq.shape[3])
            return sr
        height, width = lq.shape[2:]
        sr = np.empty((1, 3, height * self.scale, width * self.scale), np.float32)
        for place in self._places((height, width), input_px):
            rows, columns = place.seen()
            seen = lq[..., rows, columns]
            missing = (0, input_px[0] - seen.shape[2]), (0, input_px[1] - seen.shape[3])
            out = self.engine(np.pad(seen, ((0, 0), (0, 0), *missing), "symmetric"))
            (rows, columns), (from_rows, from_columns) = place.kept(self.scale), place.inside(self.scale)
            sr[..., rows, columns] = out[..., from_rows, from_columns]
        return sr

    def _places(self, size: tuple[int, int], tile: tuple[int, int]) -> list[Place]:
        return places(size, tile, self.overlap.px, self.overlap.multiple_px)

    def _tile(self, height: int, width: int, held_bytes: int) -> tuple[int, int]:
        """Return the (height, width) of the tiles for a picture."""
        if self.engine.input_px is not None:
            longest = max(self.engine.input_px)  # all orientations of a square have the same size
            return (longest, longest) if self.self_ensemble else self.engine.input_px
        if self._limit_px is not None:
            return best_tile(height, width, self.overlap.px, self._limit_px, self.overlap.multiple_px)
        if self.tile_px is not None:
            return min(self.tile_px, height), min(self.tile_px, width)
        if self.memory_bytes is None or height * width <= _PROBE_PX**2:
            return height, width
        if not self.engine.memory().of_host:
            held_bytes = 0
        max_px = self._affordable_px(self.memory_bytes - held_bytes)
        return best_tile(height, width, self.overlap.px, max_px, self.overlap.multiple_px)

    def _affordable_px(self, free_bytes: int) -> int:
        """Return how many pixels a tile may have."""
        gauge = self._probed()
        bytes_per_px = self._bytes_per_px(gauge)
        left = _USED_SHARE * (free_bytes - gauge.base_bytes)
        if self._notes and left < self._smallest_px**2 * bytes_per_px:
            enough = gauge.base_bytes - free_bytes + _EASY_PX**2 * bytes_per_px / _USED_SHARE
            self._tell(
                "the memory limit leaves no room for tiles beside the picture and the loaded network: using the "
                f"smallest useful tiles, which is slow and exceeds the limit. {enough / 1e9:.1f} GB more are enough "
                f"for tiles of {_EASY_PX}×{_EASY_PX} px"
            )
        return max(0, int(left / bytes_per_px))

    def _bytes_per_px(self, gauge: Gauge) -> float:
        """Return the memory that one input pixel of a tile takes."""
        turned = (
            4 * 12 * self.scale**2 if self.self_ensemble else 0
        )  # sum, mean and turned copies of the output
        return gauge.bytes_per_px + turned

    def _probed(self) -> Gauge:
        """Return a gauge that has measured at least one run of the engine."""
        if self._gauge is None or self._gauge.n_px <= _WARM_UP_PX**2:
            self.engine(np.zeros((1, 3, _WARM_UP_PX, _WARM_UP_PX), np.float32))
            self._gauge = Gauge(
                self.engine.memory()
            )  # a new one: memory that compiling and the first run left is not for pixels
        if self._gauge.n_px < _PROBE_PX**2 // 2:
            self._fit(np.zeros((1, 3, _PROBE_PX, _PROBE_PX), np.float32))
        return self._gauge

    def _tell(self, text: str) -> None:
        if self._say is not None:
            self._say(text)

    def _halve(self, tile: tuple[int, int], error: MemoryError) -> None:
        height, width = tile
        if self.engine.input_px is not None or height * width <= self._smallest_px**2:
            raise SrtrainError(
                f"memory ran out with a tile of {width}×{height} px, and the tile cannot be smaller. Close other "
                f"programs, or use a smaller network or a smaller --overlap."
            ) from error
        self._limit_px = height * width // 2
        self._tell(f"memory ran out with tiles of {width}×{height} px: continuing with half that size")
