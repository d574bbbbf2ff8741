"""MDSR: its parameter count, one branch for each scale, and shared weights between them."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.errors import RecipeError
from srtrain.models import MODELS
from srtrain.models.count import n_parameters
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.models.mdsr import MDSR
from srtrain.models.parameters import put
from srtrain.models.receptive import receptive_px
from srtrain.models.scales import scales_of
from srtrain.models.upscale import Upscaler, upscalers
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.step import TrainStep

SMALL = {"n_resblocks": 1, "n_feats": 4}


def small(scale=2):
    model = MDSR(scale, **SMALL)
    initialise(model, kaiming_uniform(), seed=1)
    return model


def arithmetic(b, f):
    """Count from figure 5 of the paper: 5x5 kernels in the pre-processing, an upsampler for each scale."""

    def conv(n_in, n_out, px=3):
        return n_in * n_out * px * px + n_out

    shared = conv(3, f) + 2 * b * conv(f, f) + conv(f, f) + conv(f, 3)
    return shared + 3 * 4 * conv(f, f, 5) + conv(f, 4 * f) + conv(f, 9 * f) + 2 * conv(f, 4 * f)


@pytest.mark.parametrize(("n_resblocks", "count"), [(80, 7_953_987), (16, 3_227_203)])
def test_parameters_are_as_many_as_the_paper_says(n_resblocks, count):
    """Table 1: 8.0 M, and 3.2 M for the baseline."""
    model = MODELS.build("mdsr", scale=2, n_resblocks=n_resblocks)
    assert n_parameters(model) == count == arithmetic(n_resblocks, 64)


def test_each_scale_has_its_branch_and_shares_the_rest(pynative):
    model = small(3)
    lq = np.random.default_rng(0).uniform(0, 255, (2, 3, 7, 5)).astype(np.float32)
    at = upscalers(model)
    before = {scale: upscale(lq) for scale, upscale in at.items()}
    assert {scale: sr.shape for scale, sr in before.items()} == {s: (2, 3, 7 * s, 5 * s) for s in (2, 3, 4)}
    np.testing.assert_array_equal(Upscaler(model)(lq), before[3])  # the scale that it was built with
    put(model.enters[1][0].conv1.bias, 3.0 * np.ones(4, np.float32))
    changed = {scale for scale, upscale in at.items() if not np.array_equal(upscale(lq), before[scale])}
    assert changed == {3}
    put(model.body[0].conv1.bias, 3.0 * np.ones(4, np.float32))
    assert all(not np.array_equal(upscale(lq), before[scale]) for scale, upscale in at.items())


def test_the_update_takes_the_scale_from_the_shapes_of_the_batch(pynative):
    model = small()
    lq = np.random.default_rng(0).uniform(0, 255, (1, 3, 6, 6)).astype(np.float32)
    for k, scale in enumerate((2, 3, 4)):
        before = {name: p.asnumpy().copy() for name, p in model.parameters_dict().items()}
        # A new optimizer each time: moments also move the branches that a batch does not use.
        update = TrainStep(model, L1(), build_optimizer("sgd", list(model.trainable_params()), 1e-3))
        update(ms.Tensor(lq), ms.Tensor(lq.repeat(scale, axis=2).repeat(scale, axis=3)))
        after = {name: p.asnumpy() for name, p in model.parameters_dict().items()}
        changed = {name for name in before if not np.array_equal(before[name], after[name])}
        branches = {name for name in changed if name.startswith(("enters.", "upsamplers."))}
        assert {name.split(".")[1] for name in branches} == {str(k)}
        assert "head.weight" in changed


@pytest.mark.parametrize("scale", [2, 4])
def test_it_looks_as_far_as_it_says(pynative, scale):
    args = {**SMALL, "rgb_mean": (0.0, 0.0, 0.0)}
    model = MDSR(scale, **args)
    for parameter in model.trainable_params():
        put(parameter, np.full(parameter.shape, 0.0 if parameter.name.endswith("bias") else 0.5, np.float32))
    radius = receptive_px({"model": "mdsr", "scale": scale, "model_args": args})
    far = radius + 2
    lq = np.zeros((1, 3, 2 * far + 1, 2 * far + 1), np.float32)
    lq[..., far, far] = 255
    lit = np.argwhere(Upscaler(model)(lq)[0, 0] > 0) // scale - far
    assert int(np.abs(lit).max()) == radius == 14


def test_a_scale_without_a_branch_is_refused():
    with pytest.raises(RecipeError, match=r"scale = 4 is not one of model\.scales: 2, 3\."):
        MDSR(4, scales=(2, 3), **SMALL)


def test_scales_are_known_from_the_arguments():
    assert scales_of("mdsr", {}) == (2, 3, 4)
    assert scales_of("mdsr", {"scales": (2, 4)}) == (2, 4)
    assert scales_of("edsr", {"n_feats": 4}) == ()
