"""Activations that are computed again: the same bits, and an error where there are no blocks."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from srtrain.build.recompute import recompute_blocks
from srtrain.errors import RecipeError
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.step import TrainStep


@pytest.mark.slow
@pytest.mark.usefixtures("graph")
def test_the_bits_are_those_of_kept_activations(new_model, weights_of):
    lq = np.random.default_rng(3).integers(0, 256, (2, 3, 8, 8), np.uint8)
    gt = lq.repeat(2, 2).repeat(2, 3)

    def train(again):
        model = new_model(n_resblocks=2)
        step = TrainStep(model, L1(), build_optimizer("adam", list(model.trainable_params()), 1e-3))
        if again:
            assert recompute_blocks(step.network) == 2
        losses = [float(step(ms.Tensor(lq), ms.Tensor(gt))) for _ in range(3)]
        return losses, weights_of(model)

    kept, again = train(again=False), train(again=True)
    assert kept[0] == again[0]
    for name, value in kept[1].items():
        np.testing.assert_array_equal(again[1][name], value, err_msg=name)


def test_a_network_without_blocks_is_refused():
    with pytest.raises(RecipeError, match=r"^train\.recompute = True: Conv2d has no sequence of blocks"):
        recompute_blocks(nn.Conv2d(3, 3, 3))
