"""ESRN's block of type C."""

import numpy as np
import pytest

from srtrain.errors import RecipeError
from srtrain.models.blocks import ContextBlock


def test_it_works_at_half_the_size_three_times_with_the_same_weights(random, run):
    block = ContextBlock(8, 2, 8, 16)
    x = random(1, 8, 4, 6)
    dense = small = x.reshape(1, 8, 2, 2, 3, 2).mean(axis=(3, 5))
    inner = block.middle[1]
    for c, conv in enumerate(inner.convs):
        y = dense if c == 0 else run(inner.shrinks[c - 1], dense)
        for _ in range(3):
            y = np.maximum(run(conv, y), 0)
        dense = np.concatenate((dense, y), 1)
    n, channels, h, w = dense.shape
    up = dense.reshape(n, 2, 2, channels // 4, h, w).transpose(0, 3, 4, 1, 5, 2)
    expected = run(inner.leave, up.reshape(n, channels // 4, 4, 6)) + run(block.residual, x)
    assert small.shape == (1, 8, 2, 3)
    np.testing.assert_allclose(run(block, x), expected, atol=1e-5)


def test_a_growth_that_cannot_be_shuffled_is_refused():
    with pytest.raises(RecipeError, match="type C needs a growth that is a multiple of 4, not 6"):
        ContextBlock(6, 2, 6, 6)
