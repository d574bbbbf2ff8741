"""Padding to even sides, and the crop that undoes it."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.models.blocks import CropLike, PadToEven


@pytest.mark.parametrize("size", [(4, 6), (3, 6), (4, 5), (1, 1)])
def test_the_last_row_and_column_are_repeated(random, run, size):
    x = random(2, 3, *size)
    padded = np.pad(x, ((0, 0), (0, 0), (0, size[0] % 2), (0, size[1] % 2)), "edge")
    np.testing.assert_array_equal(run(PadToEven(), x), padded)


def test_the_crop_leaves_what_belongs_to_the_unpadded_picture(random):
    sr = random(1, 3, 12, 18)
    cropped = CropLike(3)(ms.Tensor(sr), ms.Tensor(random(1, 3, 3, 5))).asnumpy()
    np.testing.assert_array_equal(cropped, sr[:, :, :9, :15])
