"""Transparent pixels never show, not even as a rim around visible ones."""

import numpy as np
import pytest

from srtrain.infer.alpha import enlarge_alpha, fill_hidden

RNG = np.random.default_rng(3)


def test_hidden_colours_become_those_of_the_nearest_visible_pixel():
    colours = RNG.integers(0, 256, (12, 15, 3), np.uint8)
    alpha = RNG.integers(0, 256, (12, 15), np.uint8)
    alpha[2:9, 4:13] = 0
    filled = fill_hidden(colours, alpha)
    visible = np.argwhere(alpha > 0)
    for y, x in np.ndindex(alpha.shape):
        squares = ((visible - [y, x]) ** 2).sum(axis=1)
        nearest = visible[
            squares <= (np.sqrt(squares.min()) + 0.5) ** 2
        ]  # OpenCV's distance is rounded a little
        assert filled[y, x].tolist() in [colours[a, b].tolist() for a, b in nearest]
    np.testing.assert_array_equal(filled[alpha > 0], colours[alpha > 0])


@pytest.mark.parametrize("value", [0, 255])
def test_where_nothing_or_everything_is_visible_colours_stay(value):
    colours = RNG.integers(0, 65536, (4, 5, 1), np.uint16)
    np.testing.assert_array_equal(fill_hidden(colours, np.full((4, 5), value, np.uint16)), colours)


@pytest.mark.parametrize(
    ("dtype", "peak"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1), (np.float64, 1)]
)
def test_alpha_keeps_its_kind_and_range(dtype, peak):
    alpha = np.zeros((6, 8), dtype)
    alpha[:, 4:] = peak
    large = enlarge_alpha(alpha, 3)
    assert (large.shape, large.dtype) == ((18, 24), dtype)
    assert large.min() == 0
    assert large.max() == peak
    np.testing.assert_allclose(large[9, 10:14] / peak, [0, 0.30, 0.70, 1], atol=0.01)  # a = -0.5, clipped
