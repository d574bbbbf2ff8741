"""The PyTorch network in benchmarks/ equals ours: same weights, same outputs, same updates."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest

from srtrain.models.upscale import Upscaler
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.step import TrainStep

torch = pytest.importorskip("torch", reason="the extra 'bench' (PyTorch) is not installed")
torch.set_num_threads(1)  # more would wait for each other on a busy machine


def weights_for_torch(model, factor):
    """Return our weights by name, with the rows before a pixel shuffle in PyTorch's order."""
    weights = {}
    for name, parameter in model.parameters_and_names():
        value = parameter.asnumpy()
        if name.startswith("upsampler."):
            rows = value.reshape(factor * factor, -1, *value.shape[1:])
            value = rows.swapaxes(0, 1).reshape(value.shape)
        weights[name] = torch.from_numpy(value.copy())
    return weights


@pytest.fixture
def both(new_model):
    """Make our network and the one in PyTorch with the same weights."""
    from torch_edsr import EDSR

    def make(scale):
        ours = new_model(scale=scale, n_resblocks=2, n_feats=8)
        theirs = EDSR(scale, n_resblocks=2, n_feats=8)
        theirs.load_state_dict(weights_for_torch(ours, 2 if scale == 4 else scale), strict=True)
        return ours, theirs

    return make


def batch(scale):
    generator = np.random.default_rng(0)
    return (
        generator.uniform(0, 255, (2, 3, 12, 12)).astype(np.float32),
        generator.uniform(0, 255, (2, 3, 12 * scale, 12 * scale)).astype(np.float32),
    )


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.usefixtures("pynative")
def test_the_same_weights_give_the_same_picture(both, scale):
    ours, theirs = both(scale)
    lq, _ = batch(scale)
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(lq)).numpy()
    np.testing.assert_allclose(Upscaler(ours)(lq[:1]), expected[:1], atol=1e-3)
    assert expected.std() > 1  # a network that returned the mean colour would agree with itself too


@pytest.mark.usefixtures("pynative")
def test_the_same_updates_follow(both):
    ours, theirs = both(2)
    arrays = batch(2)
    update = TrainStep(ours, L1(), build_optimizer("adam", list(ours.trainable_params()), 1e-3))
    optimizer = torch.optim.Adam(theirs.parameters(), 1e-3)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        lq, gt = (torch.from_numpy(array) for array in arrays)
        loss = torch.nn.functional.l1_loss(theirs(lq), gt)
        loss.backward()
        optimizer.step()
        losses.append((float(update(*(ms.Tensor(array) for array in arrays))), loss.item()))
    mindspore, pytorch = zip(*losses, strict=True)
    np.testing.assert_allclose(mindspore, pytorch, rtol=1e-5)
    assert pytorch[-1] < pytorch[0] - 1


def test_weights_start_in_the_same_range(both):
    """The bound of the uniform draw is 1/sqrt(fan-in) in both; the draws are independent."""
    from torch_edsr import EDSR

    ours, _ = both(2)
    torch.manual_seed(0)
    fresh = EDSR(2, n_resblocks=2, n_feats=8).state_dict()
    for name, parameter in ours.parameters_and_names():
        if name.endswith("weight"):
            largest = np.abs(parameter.asnumpy()).max()
            assert largest == pytest.approx(fresh[name].abs().max().item(), rel=0.05), name
