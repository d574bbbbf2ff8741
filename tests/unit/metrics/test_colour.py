import numpy as np
import pytest

from srtrain.metrics.colour import luma


@pytest.mark.parametrize(
    ("rgb", "y"),
    [
        ((0, 0, 0), 16.0),
        ((255, 255, 255), 235.0),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
        ((1, 2, 3), 16 + (65.481 + 2 * 128.553 + 3 * 24.966) / 255),
    ],
)
def test_luma_is_the_published_matrix_and_is_not_rounded(rgb, y):
    assert luma(np.array(rgb, np.uint8)) == pytest.approx(y, abs=1e-12)


def test_luma_keeps_the_leading_shape_and_computes_in_double_precision():
    picture = np.full((4, 5, 3), 0.1, np.float32)
    result = luma(picture)
    assert result.shape == (4, 5)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, 16 + 219 * np.float64(np.float32(0.1)) / 255, rtol=1e-14)
