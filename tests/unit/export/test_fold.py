"""Folding changes the layers of a network, not its result."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from srtrain.export.fold import DepthToSpace, fold
from srtrain.models.blocks import PixelShuffle, ResidualBlock
from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform


def network(scale):
    model = EDSR(scale, n_resblocks=2, n_feats=4, res_scale=0.1)
    initialise(model, kaiming_uniform(), seed=1)
    return model


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_result_stays_and_shuffles_and_factors_go(pynative, scale):
    lq = ms.Tensor(np.random.default_rng(0).uniform(0, 255, (1, 3, 5, 7)).astype(np.float32))
    expected = network(scale)(lq).asnumpy()
    folded = fold(network(scale), plain=True)
    np.testing.assert_allclose(folded(lq).asnumpy(), expected, atol=1e-4)
    cells = [cell for _, cell in folded.cells_and_names()]
    assert not any(isinstance(cell, PixelShuffle) for cell in cells)
    assert sum(isinstance(cell, DepthToSpace) for cell in cells) == (2 if scale == 4 else 1)
    assert {cell.res_scale for cell in cells if isinstance(cell, ResidualBlock)} == {1.0}
    before, after = network(scale).body[0].conv2, folded.body[0].conv2
    np.testing.assert_allclose(after.weight.asnumpy(), 0.1 * before.weight.asnumpy(), rtol=1e-6)


def test_a_shuffle_that_is_an_attribute_is_replaced_too(pynative):
    class Network(nn.Cell):
        def __init__(self):
            super().__init__()
            self.shuffle = PixelShuffle(2)
            self.listed = nn.CellList([PixelShuffle(2)])

        def construct(self, x):
            return self.listed[0](self.shuffle(x))

    x = ms.Tensor(np.arange(16 * 6, dtype=np.float32).reshape(1, 16, 2, 3))
    expected = Network()(x).asnumpy()
    folded = fold(Network())
    assert isinstance(folded.shuffle, DepthToSpace)
    assert isinstance(folded.listed[0], DepthToSpace)
    np.testing.assert_array_equal(folded(x).asnumpy(), expected)
