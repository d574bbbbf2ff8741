"""ESRN's block of type S."""

import numpy as np

from srtrain.models.blocks import ShrinkBlock


def test_each_convolution_sees_all_earlier_outputs_through_a_1x1_convolution(random, run):
    block = ShrinkBlock(8, 3, 8, 8)
    x = dense = y = random(1, 8, 3, 4)
    for c, conv in enumerate(block.middle.convs):
        if c > 0:
            y = run(block.middle.shrinks[c - 1], dense)
        y = np.maximum(run(conv, y), 0)
        dense = np.concatenate((dense, y), 1)
    assert [conv.weight.shape[1] for conv in block.middle.shrinks] == [16, 24]
    np.testing.assert_allclose(run(block, x), run(block.middle.leave, dense) + x, atol=1e-5)
