"""Costs added up block by block equal those of whole networks."""

import numpy as np
import pytest
from srtrain_plugins.esr.search.costs import Costs

from srtrain.models.count import n_parameters
from srtrain.models.esrn import ESRN, EXAMPLE, BlockKind


def added_up(costs, names):
    widths = [costs.n_feats, *(BlockKind.parse(name).n_out for name in names)]
    blocks = (costs.block(BlockKind.parse(name), n_in) for name, n_in in zip(names, widths, strict=False))
    return costs.fixed + sum(blocks)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_sum_is_the_whole(scale):
    costs = Costs(scale, 32)
    draw = np.random.default_rng(scale)
    networks = [EXAMPLE] + [
        tuple(
            f"{draw.choice(list('SGC'))}_{draw.integers(1, 5)}_{8 * draw.integers(1, 4)}_{8 * draw.integers(1, 4)}"
            for _ in range(draw.integers(1, 5))
        )
        for _ in range(6)
    ]
    for names in networks:
        assert added_up(costs, names) == n_parameters(ESRN(scale, names)), names


def test_at_scale_1_and_for_grey_pictures():
    names = EXAMPLE[:2]
    network = ESRN(1, names, n_feats=8, n_colors=1)
    assert added_up(Costs(1, 8, n_colors=1), names) == n_parameters(network)


def test_the_authors_example():
    assert added_up(Costs(2, 32), EXAMPLE) == 520_595
