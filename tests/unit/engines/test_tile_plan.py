"""Where tiles lie, compared with a search of all plans."""

import pytest

from srtrain.engines.tile_plan import best_tile, cut, places
from srtrain.errors import RecipeError


@pytest.mark.parametrize("overlap", [0, 1, 3])
@pytest.mark.parametrize("side", range(1, 40, 3))
def test_spans_keep_every_pixel_once_and_see_far_enough(side, overlap):
    for tile in range(2 * overlap + 1, 45):
        spans = cut(side, tile, overlap)
        kept = [i for span in spans for i in range(span.keep_start, span.keep_stop)]
        assert kept == list(range(side))
        for span in spans:
            assert span.stop - span.start == min(tile, side)
            assert span.start <= max(0, span.keep_start - overlap)
            assert span.stop >= min(side, span.keep_stop + overlap)
        if tile < side:  # one tile fewer could not see it all
            assert (len(spans) - 1) * (tile - 2 * overlap) + 2 * overlap < side


@pytest.mark.parametrize("overlap", [0, 1, 3])
@pytest.mark.parametrize("side", range(1, 40, 3))
def test_spans_begin_at_a_multiple(side, overlap):
    for tile in range(2 * overlap + 2, 45):
        spans = cut(side, tile, overlap, multiple=2)
        assert [i for span in spans for i in range(span.keep_start, span.keep_stop)] == list(range(side))
        for span in spans:
            assert span.start % 2 == 0
            assert span.stop - span.start <= tile
            assert span.start <= max(0, span.keep_start - overlap)
            assert span.stop >= min(side, span.keep_stop + overlap)


def computed(height, width, overlap, tile):
    n_rows, n_columns = len(cut(height, tile[0], overlap)), len(cut(width, tile[1], overlap))
    return n_rows * n_columns * tile[0] * tile[1]


@pytest.mark.parametrize(
    ("height", "width", "overlap"), [(150, 170, 4), (90, 400, 10), (400, 60, 2), (30, 30, 4)]
)
@pytest.mark.parametrize("max_px", [2000, 5000, 9000, 100_000])
def test_the_best_tile_fits_and_computes_no_more_than_any_other(height, width, overlap, max_px):
    smallest = 2 * overlap + 32
    best = best_tile(height, width, overlap, max_px)
    candidates = [
        (h, w)
        for h in range(min(smallest, height), height + 1)
        for w in range(min(smallest, width), width + 1)
        if h * w <= max_px
    ]
    if not candidates:
        assert best == (min(smallest, height), min(smallest, width))
        return
    assert best[0] * best[1] <= max_px
    least = min(computed(height, width, overlap, tile) for tile in candidates)
    assert computed(height, width, overlap, best) <= least


def test_tiles_cover_a_picture_row_by_row():
    tiles = places((5, 9), (5, 6), overlap=1)
    assert [place.seen() for place in tiles] == [
        (slice(0, 5), slice(0, 6)),
        (slice(0, 5), slice(3, 9)),
    ]
    assert [place.kept(2)[1] for place in tiles] == [slice(0, 10), slice(10, 18)]
    assert [place.inside(2)[1] for place in tiles] == [slice(0, 10), slice(4, 12)]


def test_a_tile_that_is_all_overlap_is_refused():
    with pytest.raises(RecipeError, match=r"a tile of 4 px is too small: 2 px of each side .* at least 5 px"):
        places((9, 3), (4, 4), overlap=2)
    assert len(places((4, 3), (4, 4), overlap=2)) == 1
