"""ESRN's block of type G."""

import numpy as np
import pytest

from srtrain.errors import RecipeError
from srtrain.models.blocks import GroupBlock


def test_shuffled_channels_are_convolved_in_groups(random, run):
    block = GroupBlock(8, 5, 8, 8)
    assert [conv.group for conv in block.middle.convs] == [1, 2, 2, 4, 4]
    x = dense = random(1, 8, 3, 4)
    for c, conv in enumerate(block.middle.convs, 1):
        shuffled = dense.reshape(1, c, 8, 3, 4).transpose(0, 2, 1, 3, 4).reshape(dense.shape)
        dense = np.concatenate((dense, np.maximum(run(conv, shuffled), 0)), 1)
    np.testing.assert_allclose(run(block, x), run(block.middle.leave, dense) + x, atol=1e-5)


def test_a_growth_that_cannot_be_grouped_is_refused():
    with pytest.raises(RecipeError, match=r"type G .* needs a growth that is a multiple of 4, not 6"):
        GroupBlock(6, 4, 6, 6)
