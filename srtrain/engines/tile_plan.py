"""The plan of tiles for a picture: where tiles lie, and how large they should be."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

from srtrain.errors import RecipeError

_SMALLEST_CORE_PX = 32  # with less than that beside the overlap, nearly all work would be overlap


class Span(NamedTuple):
    """One side of a tile as half-open ranges of input pixels: what the network sees, and what is kept of it."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


class Place(NamedTuple):
    """The rows and the columns of a tile."""

    rows: Span
    columns: Span

    def seen(self) -> tuple[slice, slice]:
        """Return the rows and columns of the picture that the network sees."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    def kept(self, scale: int) -> tuple[slice, slice]:
        """Return the rows and columns to keep, in the output of the whole picture."""
        return (
            slice(self.rows.keep_start * scale, self.rows.keep_stop * scale),
            slice(self.columns.keep_start * scale, self.columns.keep_stop * scale),
        )

    def inside(self, scale: int) -> tuple[slice, slice]:
        """Return the rows and columns to keep, in the output of this tile."""
        rows, columns = (
            slice((span.keep_start - span.start) * scale, (span.keep_stop - span.start) * scale)
            for span in self
        )
        return rows, columns


def places(size: tuple[int, int], tile: tuple[int, int], overlap: int, multiple: int = 1) -> list[Place]:
    """Cover a picture of (height, width) with tiles of (height, width), row by row.

    Raises:
        RecipeError: the overlap leaves nothing of a tile.
    """
    for side, length in zip(size, tile, strict=True):
        if length < side:
            check_tile(length, overlap, multiple)
    spans = (cut(side, length, overlap, multiple) for side, length in zip(size, tile, strict=True))
    return [Place(*pair) for pair in itertools.product(*spans)]


def cut(side: int, tile: int, overlap: int, multiple: int = 1) -> list[Span]:
    """Cover one side of a picture with spans of one length.

    Each span keeps what lies ``overlap`` inside it, and everything up to the border of the picture. A side shorter
    than a tile becomes one span of its own length.

    Args:
        side: length of the side.
        tile: length of the spans; at least two overlaps plus ``multiple``.
        overlap: pixels at each end of a span that are not kept.
        multiple: spans start at multiples of this number; the last span may be a little shorter for that.
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


def check_tile(side: int, overlap: int, multiple: int) -> None:
    """Check that an overlap leaves something of a tile.

    Raises:
        RecipeError: it does not.
    """
    least = 2 * overlap + multiple
    if side < least:
        raise RecipeError(
            f"a tile of {side} px is too small: {overlap} px of each side are overlap. Use tiles of at least "
            f"{least} px, better {4 * overlap} or more, or a smaller overlap."
        )


def best_tile(height: int, width: int, overlap: int, max_px: int, multiple: int = 1) -> tuple[int, int]:
    """Return the (height, width) of tiles of at most ``max_px`` pixels that together compute the fewest pixels.

    If no useful tile is that small, return the smallest useful tile. Where tiles start at multiples of a larger number
    than 1, some may overlap by more, so another size may compute a little less.
    """
    smallest = smallest_tile(overlap, multiple)
    best, least = (min(smallest, height), min(smallest, width)), math.inf
    tile_width, n_columns = width, 1
    while True:
        highest = max_px // tile_width
        if highest >= min(height, smallest):
            n_rows = 1 if highest >= height else math.ceil((height - 2 * overlap) / (highest - 2 * overlap))
            least_height = math.ceil((height + 2 * overlap * (n_rows - 1)) / n_rows)
            tile_height = max(min(smallest, height), least_height)
            computed = n_rows * tile_height * n_columns * tile_width
            if computed < least:
                best, least = (tile_height, tile_width), computed
        if tile_width <= smallest:
            return best
        n_columns += 1
        tile_width = max(smallest, math.ceil((width + 2 * overlap * (n_columns - 1)) / n_columns))


def smallest_tile(overlap: int, multiple: int = 1) -> int:
    """Return the side of the smallest tile that is used unless a user asks for less."""
    return 2 * overlap + max(_SMALLEST_CORE_PX, multiple)
