"""Whether an overlap is exact, and what it costs if it is not."""

import math

import numpy as np
import pytest

from srtrain.engines.overlap import Overlap, OverlapCost
from srtrain.engines.tile_plan import Place, Span


def test_the_cost_of_an_overlap_counts_what_is_seen():
    cost = OverlapCost()
    assert cost.psnr == math.inf
    cost.add(np.full((1, 3, 2, 2), 300, np.float32), np.full((1, 3, 2, 2), 254, np.float32))
    assert (cost.max_difference, cost.psnr) == (1.0, pytest.approx(10 * math.log10(255**2)))


def test_an_overlap_of_the_radius_is_exact_and_has_no_samples():
    assert Overlap(6, radius_px=6, multiple_px=1).samples(100) == set()
    assert Overlap(5, radius_px=6, multiple_px=1).samples(1) == set()


@pytest.mark.parametrize(("n_tiles", "samples"), [(2, {0, 1}), (4, {0, 1, 2, 3}), (16, {2, 6, 10, 14})])
def test_samples_are_spread_over_the_picture(n_tiles, samples):
    assert Overlap(5, radius_px=6, multiple_px=1).samples(n_tiles) == samples


def test_an_unknown_radius_is_never_exact():
    overlap = Overlap(100, radius_px=None, multiple_px=1)
    assert (overlap.is_exact, overlap.exact_px) == (False, 232)


def test_a_widened_place_keeps_the_same_pixels_and_starts_at_a_multiple():
    rows, columns = Overlap(1, radius_px=4, multiple_px=2).widened(
        Place(Span(0, 12, 0, 11), Span(10, 22, 11, 21)), height=30, width=23
    )
    assert rows == (0, 15, 0, 11)
    assert columns == (6, 23, 11, 21)
