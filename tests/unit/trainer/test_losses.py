"""Each loss and its gradient against NumPy, in both modes."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.errors import UserError
from srtrain.metrics.ssim import ssim
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


def spectrum(d):
    """Return the loss of the spectra of a difference, and its gradient."""
    f = np.fft.fft2(d, norm="ortho")
    value = (np.abs(f.real).mean() + np.abs(f.imag).mean()) / 2
    signs = (np.sign(np.round(f.real, 9)) + 1j * np.sign(np.round(f.imag, 9))) / (2 * d.size)
    return value, np.fft.ifft2(signs, norm="ortho").real


WIDE_SR, WIDE_GT = ((RNG.random((2, 3, 15, 12)) * 255).astype(np.float32) for _ in range(2))


def hwc(pictures):
    return [picture.transpose(1, 2, 0).astype(np.float64) for picture in pictures]


@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_fft_is_numpys_transform(mode, request):
    request.getfixturevalue(mode)
    got, slope = ms.value_and_grad(LOSSES.build("fft"), 0)(ms.Tensor(SR), ms.Tensor(GT))
    value, gradient = spectrum(D)
    assert float(got) == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(slope.asnumpy(), gradient, atol=2e-4 * np.abs(gradient).max())


@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_ssim_is_the_metric(mode, request):
    request.getfixturevalue(mode)
    loss = LOSSES.build("ssim")
    got, slope = ms.value_and_grad(loss, 0)(ms.Tensor(WIDE_SR), ms.Tensor(WIDE_GT))
    pairs = list(zip(hwc(WIDE_SR), hwc(WIDE_GT), strict=True))
    assert float(got) == pytest.approx(1 - np.mean([ssim(*pair) for pair in pairs]), abs=1e-6)
    moved = [sr.copy() for sr, _ in pairs]
    for at, step in (((7, 5, 1), 0.5), ((0, 0, 0), 2.0), ((14, 11, 2), 2.0)):
        values = []
        for sign in (1, -1):
            moved[0][at] += sign * step
            values.append(1 - np.mean([ssim(sr, gt) for sr, (_, gt) in zip(moved, pairs, strict=True)]))
            moved[0][at] -= sign * step
        wanted = (values[0] - values[1]) / (2 * step)
        assert float(slope[0, at[2], at[0], at[1]]) == pytest.approx(wanted, rel=0.02, abs=1e-9)


@pytest.mark.usefixtures("pynative")
def test_ssim_of_pictures_smaller_than_its_window():
    assert 0 < float(LOSSES.build("ssim")(ms.Tensor(SR), ms.Tensor(GT))) < 2


@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_a_sum_adds_weighted_parts(mode, request):
    request.getfixturevalue(mode)
    loss = LOSSES.build("sum", l1=2, charbonnier={"weight": 0.5, "epsilon": 40.0})
    got, slope = ms.value_and_grad(loss, 0)(ms.Tensor(SR), ms.Tensor(GT))
    (_, l1, one), (_, charbonnier, two) = CASES["l1"], CASES["charbonnier 40"]
    assert float(got) == pytest.approx(2 * l1 + 0.5 * charbonnier, rel=1e-5)
    np.testing.assert_allclose(slope.asnumpy(), 2 * one + 0.5 * two, rtol=2e-4, atol=1e-9)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "needs the weights of other losses"),
        ({"l1": "much"}, "loss.l1: the weight of a loss is a number, not 'much'"),
        ({"l1": {"epsilon": 1}}, "loss.l1: the weight of a loss is a number, not None"),
        ({"l2": 1}, "there is no loss named 'l2'"),
        ({"charbonnier": {"weight": 1, "eps": 1}}, "takes no argument 'eps'"),
    ],
)
def test_a_sum_names_what_is_wrong(parts, message):
    with pytest.raises(UserError, match=message):
        LOSSES.build("sum", **parts)


@pytest.mark.usefixtures("pynative")
@pytest.mark.parametrize("name", ["fft", "ssim"])
def test_equal_pictures_have_a_finite_gradient(name):
    for picture in (GT, np.zeros_like(GT)):
        value, slope = ms.value_and_grad(LOSSES.build(name), 0)(ms.Tensor(picture), ms.Tensor(picture))
        assert float(value) == pytest.approx(0, abs=1e-6)
        np.testing.assert_allclose(slope.asnumpy(), 0, atol=1e-6)


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
    assert {"charbonnier", "fft", "l1", "mse", "ssim", "sum"} <= set(LOSSES.names())
