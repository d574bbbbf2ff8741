"""Pixel shuffle against MindSpore's operator and against loops."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import ops

from srtrain.models.blocks import PixelShuffle


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_it_equals_depth_to_space(random, factor):
    x = ms.Tensor(random(2, 5 * factor * factor, 4, 7))
    ours = PixelShuffle(factor)(x).asnumpy()
    assert ours.shape == (2, 5, 4 * factor, 7 * factor)
    np.testing.assert_array_equal(ours, ops.DepthToSpace(factor)(x).asnumpy())


def test_channels_are_in_dcr_order(random, run):
    x = random(1, 8, 3, 2)
    out = run(PixelShuffle(2), x)
    for c, y, i, z, j in np.ndindex(2, 3, 2, 2, 2):
        assert out[0, c, 2 * y + i, 2 * z + j] == x[0, (i * 2 + j) * 2 + c, y, z]
