"""Subtracting and adding the mean colour."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.models.blocks import DIV2K_MEAN, MeanShift
from srtrain.models.count import n_parameters


@pytest.mark.parametrize("sign", [1, -1])
def test_each_channel_is_shifted_by_its_mean(random, run, sign):
    x = random(2, 3, 2, 2)
    expected = x + sign * 255 * np.float32([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(run(MeanShift((0.1, 0.2, 0.3), sign), x), expected, rtol=1e-6)


def test_half_precision_is_kept(random):
    assert MeanShift(DIV2K_MEAN, 1)(ms.Tensor(random(1, 3, 2, 2), ms.float16)).dtype == ms.float16


def test_the_mean_is_no_parameter():
    assert n_parameters(MeanShift(DIV2K_MEAN, 1)) == 0
