"""Padding to a least side."""

import numpy as np
import pytest

from srtrain.models.blocks import PadToLeast


@pytest.mark.parametrize("size", [(5, 5), (1, 1), (4, 9), (9, 2), (12, 7)])
def test_the_last_row_and_column_are_repeated_up_to_the_least_side(random, run, size):
    x = random(2, 3, *size)
    missing = [(0, max(0, 5 - px)) for px in size]
    np.testing.assert_array_equal(run(PadToLeast(5), x), np.pad(x, ((0, 0), (0, 0), *missing), "edge"))
