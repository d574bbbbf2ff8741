"""IMDN and RFDN: their sizes, and the names in the files of their authors."""

import mindspore as ms
import numpy as np
import pytest
from srtrain_plugins.light import IMDN, RFDN
from srtrain_plugins.light.imdn import ContrastAttention

from srtrain.device.mode import as_function
from srtrain.errors import RecipeError
from srtrain.models.count import count
from srtrain.weights.foreign import torch_names


@pytest.mark.parametrize(
    ("network", "scale", "n_parameters"),
    [(IMDN, 2, 694_404), (IMDN, 3, 703_059), (IMDN, 4, 715_176), (RFDN, 4, 433_448)],
)
def test_the_number_of_parameters_is_that_of_the_authors_file(network, scale, n_parameters):
    assert sum(p.size for p in network(scale).trainable_params()) == n_parameters


def test_the_multi_adds_of_imdn_are_those_of_the_paper():
    """Table 4 of the paper counts 158.8 G at x2 for an output of 1280 x 720."""
    assert count(IMDN(2), 2).multi_adds / 1e9 == pytest.approx(158.8, abs=0.5)


@pytest.mark.parametrize(
    ("network", "names"),
    [
        (IMDN, {"IMDB1.c1.weight", "IMDB1.cca.conv_du.2.bias", "c.0.weight", "upsampler.0.bias", "LR_conv.bias"}),
        (RFDN, {"B1.c1_d.weight", "B1.c1_r.weight", "B1.c4.bias", "B1.esa.conv3_.weight", "B1.esa.conv_f.bias"}),
    ],
)  # fmt: skip
def test_the_names_in_files_are_those_of_the_authors(network, names):
    assert names | {"fea_conv.weight"} <= set(torch_names(network(2, n_blocks=1, n_feats=16)).values())


@pytest.mark.parametrize(
    ("network", "size"), [(IMDN, (1, 1)), (IMDN, (9, 5)), (RFDN, (15, 22)), (RFDN, (1, 9))]
)
def test_any_size_becomes_that_size_times_the_scale(network, size):
    sr = as_function(network(3, n_blocks=1, n_feats=16))(np.ones((2, 3, *size), np.float32))
    assert sr.shape == (2, 3, 3 * size[0], 3 * size[1])
    assert np.isfinite(sr).all()


def test_the_attention_of_imdn_is_that_of_numpy(pynative):
    cell = ContrastAttention(16)
    x = np.random.default_rng(2).normal(0, 1, (2, 16, 5, 7)).astype(np.float32)
    squeeze, excite = (c.weight.asnumpy()[:, :, 0, 0] for c in (cell.squeeze, cell.excite))
    inner = np.maximum((x.mean((2, 3)) + x.std((2, 3))) @ squeeze.T + cell.squeeze.bias.asnumpy(), 0)
    weight = 1 / (1 + np.exp(-(inner @ excite.T + cell.excite.bias.asnumpy())))
    np.testing.assert_allclose(cell(ms.Tensor(x)).asnumpy(), x * weight[:, :, None, None], atol=1e-5)


@pytest.mark.parametrize(
    ("network", "args"), [(IMDN, {"n_blocks": 0}), (IMDN, {"n_feats": 20}), (RFDN, {"n_feats": 5})]
)
def test_channels_that_cannot_be_divided_are_refused(network, args):
    with pytest.raises(RecipeError, match=r"model\.n_blocks is .* and model\.n_feats is"):
        network(2, **args)
