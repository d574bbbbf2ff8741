"""What ESRN's blocks share: the residual, and the dense middle of the types S and C."""

import itertools

import numpy as np
import pytest

from srtrain.models import BLOCKS
from srtrain.models.parameters import put


@pytest.mark.parametrize("kind", ["S", "G", "C"])
@pytest.mark.parametrize(("n_in", "growth", "n_out"), list(itertools.product((8, 16), repeat=3)))
def test_the_residual_is_the_shortest_way_of_the_right_width(random, run, kind, n_in, growth, n_out):
    block = BLOCKS.build(kind, n_in=n_in, n_convs=2, growth=growth, n_out=n_out)
    for parameter in block.middle.get_parameters():
        put(parameter, np.zeros(parameter.shape, np.float32))
    x = random(1, n_in, 4, 6)
    if n_in == n_out:
        expected = x
    elif growth == n_out:
        expected = run(block.enter, x)
    else:
        expected = run(block.residual, x)
    np.testing.assert_allclose(run(block, x), expected, atol=1e-6)
