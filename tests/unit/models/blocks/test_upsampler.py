"""The upsamplers of EDSR and ESRN."""

import pytest

from srtrain.errors import RecipeError
from srtrain.models.blocks import Upsampler, upsampler_to_picture
from srtrain.models.count import n_parameters


@pytest.mark.parametrize(("scale", "n_convs"), [(2, 1), (3, 1), (4, 2)])
def test_features_are_upsampled_in_stages(random, run, scale, n_convs):
    layer = Upsampler(scale, 4)
    assert run(layer, random(1, 4, 3, 5)).shape == (1, 4, 3 * scale, 5 * scale)
    per_stage = {2: 16, 3: 36, 4: 16}[scale]
    assert n_parameters(layer) == n_convs * (4 * per_stage * 9 + per_stage)


@pytest.mark.parametrize(("scale", "last"), [(2, 24), (3, 24), (4, 8)])
def test_features_become_rgb(random, run, scale, last):
    layer = upsampler_to_picture(scale, 8)
    assert run(layer, random(1, 8, 3, 5)).shape == (1, 3, 3 * scale, 5 * scale)
    assert layer[-1].weight.shape == (3, last, 3, 3)


def test_at_scale_1_nothing_is_upsampled(random, run):
    x = random(1, 4, 3, 5)
    assert n_parameters(Upsampler(1, 4)) == 0
    assert (run(Upsampler(1, 4), x) == x).all()
    layer = upsampler_to_picture(1, 4)
    assert run(layer, x).shape == (1, 3, 3, 5)
    assert n_parameters(layer) == 4 * 3 * 9 + 3


@pytest.mark.parametrize("make", [Upsampler, upsampler_to_picture])
@pytest.mark.parametrize("scale", [0, 5, 8, "2"])
def test_another_scale_is_refused(make, scale):
    with pytest.raises(RecipeError) as caught:
        make(scale, 4)
    assert str(caught.value) == f"scale = {scale!r} is not one of 1, 2, 3, 4."
