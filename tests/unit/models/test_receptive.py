"""The radius computed from a network's arguments equals the one measured on its output."""

import numpy as np
import pytest

from srtrain.models import BLOCKS
from srtrain.models.edsr import EDSR
from srtrain.models.parameters import put
from srtrain.models.receptive import receptive_px
from srtrain.models.upscale import Upscaler


def seen_from_far(model: EDSR, scale: int, far_px: int) -> int:
    """Set one pixel in a black picture, with all weights positive, and measure how far it spreads, in input pixels."""
    for parameter in model.trainable_params():
        put(parameter, np.full(parameter.shape, 0.0 if parameter.name.endswith("bias") else 0.5, np.float32))
    lq = np.zeros((1, 3, 2 * far_px + 1, 2 * far_px + 1), np.float32)
    lq[..., far_px, far_px] = 255
    lit = np.argwhere(Upscaler(model)(lq)[0, 0] > 0) // scale - far_px
    return int(np.abs(lit).max())


@pytest.mark.parametrize(
    ("scale", "n_resblocks", "kernel_px", "radius"),
    [(1, 1, 3, 5), (2, 1, 3, 6), (3, 2, 3, 8), (4, 1, 3, 6), (4, 1, 5, 12), (2, 0, 5, 7)],
)
def test_edsr_looks_as_far_as_it_says(pynative, scale, n_resblocks, kernel_px, radius):
    args = {"n_resblocks": n_resblocks, "n_feats": 2, "kernel_px": kernel_px, "rgb_mean": (0.0, 0.0, 0.0)}
    model = EDSR(scale, **args)
    assert receptive_px({"model": "edsr", "scale": scale, "model_args": args}) == radius
    assert seen_from_far(model, scale, radius + 3) == radius


def test_arguments_that_a_file_leaves_out_are_those_of_the_class():
    assert receptive_px({"model": "edsr", "scale": 2}) == 36
    assert receptive_px({"model": "edsr", "scale": 2, "model_args": {"n_resblocks": 5}}) == 14


def test_an_exported_file_says_it_itself():
    assert receptive_px({"model": "edsr", "scale": 2, "receptive_px": 9}) == 9
    assert receptive_px({"model": "edsr", "scale": 2, "receptive_px": None}) is None


def test_nobody_says(monkeypatch):
    assert receptive_px({}) is None
    assert receptive_px({"model": "somebody_elses", "scale": 2}) is None
    monkeypatch.setitem(BLOCKS._entries, "block_that_does_not_say", lambda **_: None)
    args = {"block": "block_that_does_not_say"}
    assert receptive_px({"model": "edsr", "scale": 2, "model_args": args}) is None
