"""A network as a function of arrays, at every size, with its current weights."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.models.upscale import Upscaler

SIZES = [(6, 5), (5, 6), (1, 9), (17, 12), (6, 5)]


def picture(height, width):
    return (np.random.default_rng(height * 100 + width).random((1, 3, height, width)) * 255).astype(
        np.float32
    )


@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_it_gives_what_the_network_gives_at_every_size(new_model, mode, request):
    model = new_model()
    request.getfixturevalue("pynative")
    expected = [model(ms.Tensor(picture(*size))).asnumpy() for size in SIZES]
    request.getfixturevalue(mode)
    upscale = Upscaler(model)
    for size, wanted in zip(SIZES, expected, strict=True):
        got = upscale(picture(*size))
        assert got.dtype == np.float32
        assert got.shape == (1, 3, 2 * size[0], 2 * size[1])
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_it_sees_later_changes_of_the_weights(new_model, mode, request):
    request.getfixturevalue(mode)
    model = new_model()
    upscale = Upscaler(model)
    before = upscale(picture(4, 4))
    bias = model.tail.bias
    bias.set_data(ms.Tensor(bias.asnumpy() + 10))
    np.testing.assert_allclose(upscale(picture(4, 4)), before + 10, rtol=1e-4)


def test_it_renames_no_weight(new_model):
    model = new_model()
    names = list(model.parameters_dict())
    Upscaler(model)
    assert list(model.parameters_dict()) == names
    assert names[0] == "head.weight"
