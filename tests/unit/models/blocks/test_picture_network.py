"""The channels and the normalisation of pictures: grey networks, and ``rgb_range`` and ``rgb_std``."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.errors import RecipeError, UserError
from srtrain.models import MODELS
from srtrain.models.count import count
from srtrain.models.ensemble import in_rgb
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.models.parameters import put
from srtrain.models.upscale import Upscaler
from srtrain.registry import parameters_of
from srtrain.weights.transfer import Weights, load_weights, plain

NETWORKS = {
    "edsr": {"n_resblocks": 1, "n_feats": 4},
    "mdsr": {"n_resblocks": 1, "n_feats": 4},
    "rdn": {"n_blocks": 1, "n_convs": 1, "growth": 4, "n_feats": 4},
    "esrn": {"blocks": ("S_1_4_4", "C_1_4_4"), "n_feats": 4},
}
LQ = np.random.default_rng(0).uniform(0, 255, (1, 3, 5, 7)).astype(np.float32)


def built(name, scale=2, **args):
    model = MODELS.build(name, {"scale": scale}, **NETWORKS[name], **args)
    initialise(model, kaiming_uniform(), seed=1)
    return model


def weights_of(name, model, scale, **args):
    tensors = {p.name: p.asnumpy().copy() for p in model.get_parameters()}
    about = {"model": name, "scale": scale, "model_args": {**NETWORKS[name], **args}}
    return Weights(None, tensors, about)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_grey_network_reads_and_returns_one_channel(pynative, name):
    model = built(name, n_colors=1)
    grey = ms.Tensor(LQ[:, :1])
    assert model(grey).shape == (1, 1, 10, 14)
    assert count(model, 2).n_parameters < count(built(name), 2).n_parameters
    nothing = built(name, n_colors=1)
    for parameter in nothing.get_parameters():
        put(parameter, np.zeros(parameter.shape, np.float32))
    mean = nothing(grey).asnumpy()  # the mean of DIV2K as a grey picture
    np.testing.assert_allclose(mean, 255 * (0.299 * 0.4488 + 0.587 * 0.4371 + 0.114 * 0.4040), rtol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize(
    "args",
    [
        {"rgb_range": 1.0},
        {"rgb_range": 1, "rgb_std": (0.3, 0.25, 0.5)},
        {"rgb_std": (2.0, 3.0, 4.0)},
        {"n_colors": 1, "rgb_range": 1.0, "rgb_std": (0.5,)},
    ],
)
def test_range_and_deviation_are_another_parametrisation_of_the_same_function(pynative, name, scale, args):
    model = built(name, scale, **args)
    given = weights_of(name, model, scale, **args)
    usual = plain(given)
    assert not {"rgb_range", "rgb_std"} & usual.about["model_args"].keys()
    colours = {key: args[key] for key in args if key == "n_colors"}
    same = built(name, scale, **colours)
    assert load_weights(same, usual, usual.about).differences == ()
    lq = ms.Tensor(LQ[:, : args.get("n_colors", 3)])
    expected = model(lq).asnumpy()
    np.testing.assert_allclose(same(lq).asnumpy(), expected, rtol=1e-4, atol=1e-3)
    back = built(name, scale, **args)
    assert load_weights(back, usual, given.about).differences == ()
    for parameter in back.get_parameters():
        np.testing.assert_allclose(parameter.asnumpy(), given.tensors[parameter.name], rtol=1e-5, atol=1e-9)


def test_the_network_computes_on_normalised_colours(pynative):
    """(x * range / 255 - range * mean) / std goes into the first layer, as in EDSR-PyTorch."""
    model = built("edsr", rgb_mean=(0.1, 0.2, 0.3), rgb_range=2.0, rgb_std=(0.5, 0.25, 1.0))
    mean, deviation = (np.reshape(v, (1, 3, 1, 1)) for v in ((0.1, 0.2, 0.3), (0.5, 0.25, 1.0)))
    wanted = (LQ * 2 / 255 - 2 * mean) / deviation
    seen = model.subtract_mean(ms.Tensor(LQ))
    np.testing.assert_allclose(seen.asnumpy(), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.add_mean(seen).asnumpy(), LQ, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"n_colors": 2}, r"model.n_colors = 2 is not one of 1 \(grey\) and 3 \(RGB\)"),
        (
            {"rgb_mean": (0.4, 0.4)},
            r"model.rgb_mean = \(0.4, 0.4\) does not fit model.n_colors = 3: give 3 numbers",
        ),
        ({"n_colors": 1, "rgb_std": (1, 2, 3)}, "does not fit model.n_colors = 1: give 1 number"),
        ({"rgb_range": 0}, "must be above 0"),
        ({"rgb_std": (1.0, 0.0, 1.0)}, "must be above 0"),
        ({"rgb_stdd": (1.0, 1.0, 1.0)}, "Did you mean 'rgb_std'"),
    ],
)
def test_mistakes_are_told(args, says):
    with pytest.raises(UserError, match=says):
        built("edsr", **args)


def test_arguments_of_the_base_belong_to_the_networks():
    known = parameters_of(MODELS.get("rdn"))
    assert list(known) == [
        *("scale", "n_blocks", "n_convs", "growth", "n_feats"),
        *("rgb_mean", "n_colors", "rgb_range", "rgb_std"),
    ]
    with pytest.raises(RecipeError, match="takes no argument 'auto_prefix'"):
        built("rdn", auto_prefix=False)


def test_a_grey_network_as_a_function_of_rgb(pynative):
    """Grey stays grey; of colours, the brightness goes through the network and the rest is bicubic."""
    upscale = Upscaler(built("edsr", n_colors=1))
    grey = np.repeat(LQ[:, :1], 3, axis=1)
    sr = upscale(grey)
    assert sr.shape == (1, 3, 10, 14)
    assert (sr[:, :1] == sr).all()
    flat = np.full((1, 3, 5, 7), 80, np.float32) + np.float32([30, 0, -20]).reshape(1, 3, 1, 1)
    doubled = in_rgb(lambda luma: luma.repeat(2, 2).repeat(2, 3))
    np.testing.assert_allclose(doubled(flat), flat.repeat(2, 2).repeat(2, 3), atol=1e-3)
