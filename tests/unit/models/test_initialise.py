"""Initial weights: they have the distribution that is named, and depend only on seed and name."""

import math

import numpy as np
import pytest
from mindspore import nn

from srtrain.models import INITIALISERS
from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform, truncated_normal


def initialised(method, seed=1, **sizes):
    model = EDSR(2, **{"n_resblocks": 1, "n_feats": 32, **sizes})
    initialise(model, method, seed)
    return {name: p.asnumpy() for name, p in model.parameters_dict().items()}


def test_kaiming_uniform_fills_its_interval_and_no_more():
    weights = initialised(kaiming_uniform())
    bound = 1 / math.sqrt(32 * 9)
    w = weights["body.0.conv1.weight"]
    assert np.abs(w).max() <= bound
    assert np.abs(w).max() > 0.999 * bound
    assert w.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)  # of a uniform distribution
    assert w.mean() == pytest.approx(0, abs=4 * w.std() / math.sqrt(w.size))
    for name, fan_in in {
        "head": 3 * 9,
        "body.0.conv1": 32 * 9,
        "upsampler.0": 32 * 9,
        "tail": 32 * 9,
    }.items():
        bias = weights[f"{name}.bias"]
        assert np.abs(bias).max() <= 1 / math.sqrt(fan_in)
        assert np.abs(bias).max() > 0.5 / math.sqrt(fan_in) or bias.size < 4


def test_truncated_normal_has_its_sigma_no_tail_and_no_bias():
    weights = initialised(truncated_normal(sigma=0.05))
    w = weights["body.0.conv1.weight"]
    assert np.abs(w).max() <= 0.1
    assert np.abs(w).max() > 0.099
    assert w.std() == pytest.approx(0.05 * 0.8796, rel=0.02)  # std of a normal cut at two sigma
    assert not any(weights[name].any() for name in weights if name.endswith(".bias"))


def test_the_seed_decides():
    same = initialised(kaiming_uniform()), initialised(kaiming_uniform())
    other = initialised(kaiming_uniform(), seed=2)
    for name in other:
        np.testing.assert_array_equal(same[0][name], same[1][name])
        assert not np.array_equal(same[0][name], other[name])


def test_no_two_layers_start_alike():
    weights = initialised(kaiming_uniform())
    assert not np.array_equal(weights["body.0.conv1.weight"], weights["body.0.conv2.weight"])
    assert not np.array_equal(weights["body.0.conv1.bias"], weights["body.0.conv2.bias"])


def test_another_layer_changes_no_other_layers_start():
    one, three = initialised(kaiming_uniform()), initialised(kaiming_uniform(), n_resblocks=3)
    assert set(one) < set(three)
    for name, value in one.items():
        np.testing.assert_array_equal(value, three[name])


def test_what_is_no_convolution_keeps_what_its_layer_gave_it():
    model = nn.SequentialCell(nn.Conv2d(3, 4, 3, has_bias=False), nn.BatchNorm2d(4))
    before = model[1].gamma.asnumpy().copy(), model[0].weight.asnumpy().copy()
    initialise(model, kaiming_uniform(), 1)
    np.testing.assert_array_equal(model[1].gamma.asnumpy(), before[0])
    assert not np.array_equal(model[0].weight.asnumpy(), before[1])


def test_the_names_a_recipe_can_say():
    assert INITIALISERS.names() == ["kaiming_uniform", "truncated_normal"]
