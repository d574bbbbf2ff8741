"""RDN: its parameter count, sizes and receptive radius."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.errors import RecipeError
from srtrain.models import MODELS
from srtrain.models.count import n_parameters
from srtrain.models.parameters import put
from srtrain.models.rdn import RDN
from srtrain.models.receptive import receptive_px
from srtrain.models.upscale import Upscaler

SMALL = {"n_blocks": 2, "n_convs": 2, "growth": 4, "n_feats": 6}


def arithmetic(scale, d, c, g, g0):
    """Count from figures 2 and 3 of the paper."""

    def conv(n_in, n_out, px=3):
        return n_in * n_out * px * px + n_out

    block = sum(conv(g0 + k * g, g) for k in range(c)) + conv(g0 + c * g, g0, 1)
    shallow, fusion = conv(3, g0) + conv(g0, g0), conv(d * g0, g0, 1) + conv(g0, g0)
    stages = {2: conv(g0, 4 * g), 3: conv(g0, 9 * g), 4: conv(g0, 4 * g) + conv(g, 4 * g)}
    return shallow + d * block + fusion + stages[scale] + conv(g, 3)


def test_the_papers_network_has_22_1_million_parameters():
    assert n_parameters(MODELS.build("rdn", scale=2)) == arithmetic(2, 16, 8, 64, 64) == 22_123_395


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_any_size_comes_out_at_the_scale(pynative, scale):
    model = RDN(scale, **SMALL)
    assert n_parameters(model) == arithmetic(scale, 2, 2, 4, 6)
    sr = model(ms.Tensor(np.ones((2, 3, 7, 5), np.float32))).asnumpy()
    assert sr.shape == (2, 3, 7 * scale, 5 * scale)
    assert np.isfinite(sr).all()


def test_a_block_adds_its_input_to_the_fusion_of_all_that_it_has_read(pynative):
    block = RDN(2, **SMALL).blocks[0]
    x = (
        np.random.default_rng(0).uniform(-1, 1, (1, 6, 1, 1)).astype(np.float32)
    )  # of a 3x3 kernel, its middle works
    dense = x.reshape(6)
    for layer in block.convs:
        kernel, bias = layer.weight.asnumpy()[:, :, 1, 1], layer.bias.asnumpy()
        dense = np.concatenate([dense, np.maximum(kernel @ dense + bias, 0)])
    expected = x.reshape(6) + block.leave.weight.asnumpy()[:, :, 0, 0] @ dense + block.leave.bias.asnumpy()
    np.testing.assert_allclose(block(ms.Tensor(x)).asnumpy().reshape(6), expected, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_looks_as_far_as_it_says(pynative, scale):
    args = {**SMALL, "rgb_mean": (0.0, 0.0, 0.0)}
    model = RDN(scale, **args)
    for parameter in model.trainable_params():
        put(parameter, np.full(parameter.shape, 0.0 if parameter.name.endswith("bias") else 0.5, np.float32))
    radius = receptive_px({"model": "rdn", "scale": scale, "model_args": args})
    far = radius + 2
    lq = np.zeros((1, 3, 2 * far + 1, 2 * far + 1), np.float32)
    lq[..., far, far] = 255
    lit = np.argwhere(Upscaler(model)(lq)[0, 0] > 0) // scale - far
    assert int(np.abs(lit).max()) == radius


def test_no_blocks_are_refused():
    with pytest.raises(RecipeError, match=r"at least one block of one convolution; model\.n_blocks is 0"):
        RDN(2, n_blocks=0)
