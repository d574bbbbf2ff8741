"""The convolution that keeps height and width."""

import pytest

from srtrain.models.blocks import conv
from srtrain.models.count import n_parameters


@pytest.mark.parametrize("kernel_px", [1, 3, 5])
def test_it_keeps_height_and_width_and_has_a_bias(random, run, kernel_px):
    layer = conv(2, 6, kernel_px)
    assert run(layer, random(1, 2, 5, 7)).shape == (1, 6, 5, 7)
    assert n_parameters(layer) == 2 * 6 * kernel_px**2 + 6


def test_groups_divide_the_weights():
    assert n_parameters(conv(4, 8, 3, groups=4)) == 8 * 9 + 8
