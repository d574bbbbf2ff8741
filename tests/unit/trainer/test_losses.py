"""Each loss and its gradient against NumPy, in both modes."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.trainer.losses import LOSSES
from srtrain.trainer.losses.charbonnier import Charbonnier
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.losses.mse import MSE

RNG = np.random.default_rng(7)
SR = (RNG.random((2, 3, 5, 4)) * 255).astype(np.float32)
GT = (RNG.random((2, 3, 5, 4)) * 255).astype(np.float32)
D = SR.astype(np.float64) - GT
E = 0.255

CASES = {
    "l1": (L1(), np.abs(D).mean(), np.sign(D) / D.size),
    "mse": (MSE(), (D**2).mean(), 2 * D / D.size),
    "charbonnier": (Charbonnier(), np.sqrt(D**2 + E**2).mean(), D / np.sqrt(D**2 + E**2) / D.size),
    "charbonnier 40": (
        Charbonnier(epsilon=40.0),
        np.sqrt(D**2 + 1600).mean(),
        D / np.sqrt(D**2 + 1600) / D.size,
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_value_and_gradient(name, mode, request):
    request.getfixturevalue(mode)
    loss, value, gradient = CASES[name]
    got, slope = ms.value_and_grad(loss, 0)(ms.Tensor(SR), ms.Tensor(GT))
    assert got.shape == ()
    assert float(got) == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(slope.asnumpy(), gradient, rtol=2e-4, atol=1e-9)


@pytest.mark.usefixtures("pynative")
def test_charbonnier_is_smooth_where_l1_has_its_corner():
    zero = ms.Tensor(np.zeros((1, 3, 2, 2), np.float32))
    value, slope = ms.value_and_grad(Charbonnier(), 0)(zero, zero)
    assert float(value) == pytest.approx(0.255)
    assert not slope.asnumpy().any()


@pytest.mark.usefixtures("pynative")
@pytest.mark.parametrize("name", ["l1", "mse"])
def test_equal_pictures_lose_nothing(name):
    assert float(LOSSES.build(name)(ms.Tensor(GT), ms.Tensor(GT))) == 0


def test_the_names_a_recipe_can_say():
    assert {"charbonnier", "l1", "mse"} <= set(LOSSES.names())
