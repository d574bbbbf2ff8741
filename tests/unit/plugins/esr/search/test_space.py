"""The networks of a space, compared with built networks and with a full list of a small space."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from mindspore import nn
from srtrain_plugins.esr.search.costs import Costs
from srtrain_plugins.esr.search.space import Space, SpaceSettings
from srtrain_plugins.esr.search.types import Genome
from srtrain_plugins.esr.search.variation import draw

from srtrain.errors import RecipeError, UnknownNameError
from srtrain.models import BLOCKS
from srtrain.models.count import n_parameters
from srtrain.models.esrn import ESRN

SMALL = {
    "n_convs": (1, 2), "growths": (4, 8), "conv_prob": (1, 1), "growth_prob": (1, 1), "n_feats": 8,
    "n_nodes": 3, "min_active": 2, "min_params": 0, "max_params": 10**6,
}  # fmt: skip

COSTS = Costs(2, 8)  # remembers what it has counted


def small(**changes) -> Space:
    return Space(SpaceSettings(**{**SMALL, **changes}), COSTS)


def every_genome(space):
    genes = product(product((False, True), range(len(space.kinds))), repeat=space.settings.n_nodes)
    return (Genome(*zip(*each, strict=True)) for each in genes)


def test_the_authors_space_has_90_kinds_of_their_probabilities():
    space = Space(SpaceSettings(type_prob=(1, 2, 1), growth_prob=(4, 3, 2, 1)), Costs(2, 32))
    assert len(space.kinds) == len(set(space.names)) == 90
    assert space.prior.sum() == pytest.approx(1)
    prior = dict(zip(space.names, space.prior, strict=True))
    assert prior["G_4_8_16"] == pytest.approx(2 * prior["S_6_8_16"])
    assert prior["S_4_8_16"] == pytest.approx(12 * prior["S_4_16_32"] / 3)
    assert all(kind.n_out >= kind.growth for kind in space.kinds)


def test_a_kind_without_probability_is_none():
    space = small(type_prob=(1, 0, 1), growth_prob=(0, 1))
    assert set(space.names) == {f"{t}_{n}_8_8" for t in "SC" for n in (1, 2)}


def test_parameters_are_those_of_the_network_that_is_built():
    space = small(n_nodes=6, min_active=1)
    rng = np.random.default_rng(0)
    genomes = [draw(space, rng) for _ in range(8)]
    built = [n_parameters(ESRN(2, space.blocks(genome), n_feats=8)) for genome in genomes]
    assert [space.parameters(genome) for genome in genomes] == built
    on, kinds = np.array([g.on for g in genomes]), np.array([g.kinds for g in genomes])
    assert space.totals(on, kinds).tolist() == built


def test_networks_are_all_that_are_feasible():
    some = {"types": ("S", "G"), "type_prob": (1, 1)}
    whole = small(**some)
    totals = np.unique([whole.parameters(genome) for genome in every_genome(whole)])
    low, high = totals[[len(totals) // 3, len(totals) // 2]].tolist()
    space = small(**some, min_params=low, max_params=high)
    expected = {space.blocks(genome) for genome in every_genome(space) if space.feasible(genome)}
    found = list(space.networks())
    assert 20 < len(expected) < len(list(whole.networks()))
    assert set(found) == expected
    assert len(found) == len(expected)


def test_feasible_wants_enough_blocks_too():
    space = small()
    assert not space.feasible(Genome((True, False, False), (0, 0, 0)))
    assert space.feasible(Genome((True, False, True), (0, 0, 0)))


def test_an_empty_window_says_what_there_is():
    whole = small()
    totals = sorted({whole.parameters(g) for g in every_genome(whole) if sum(g.on) >= 2})
    gap = next(k for k in range(len(totals)) if totals[k + 1] - totals[k] > 2)
    below, above = totals[gap], totals[gap + 1]
    whole.check()
    with pytest.raises(RecipeError) as caught:
        small(min_params=below + 1, max_params=above - 1).check()
    text = str(caught.value)
    for number in (totals[0], totals[-1], below, above, below + 1, above - 1):
        assert f"{number:,}" in text
    with pytest.raises(RecipeError, match=f"nearest to the window have {totals[-1]:,} below it. Change"):
        small(min_params=totals[-1] + 1).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv_prob": (1, 1, 1)}, r"space.conv_prob = \(1, 1, 1\) has 3 numbers, and space.n_convs = \(1, 2\) has 2"),
        ({"type_prob": (1, -1, 1)}, r"space.type_prob = \(1, -1, 1\) must contain only numbers of 0 or more"),
        ({"growth_prob": (0, 0)}, "one of them above 0"),
        ({"growth_prob": (1, float("nan"))}, "must contain only numbers of 0 or more"),
        ({"types": ("S", "S", "G")}, "each choice only once"),
        ({"types": (), "type_prob": ()}, "at least one choice"),
        ({"growths": (0, 8)}, r"space.growths = \(0, 8\) must contain only numbers of 1 or more"),
        ({"min_active": 4}, "space.min_active = 4 must be from 1 to space.n_nodes = 3"),
        ({"min_active": 0}, "must be from 1 to space.n_nodes"),
        ({"min_params": 9, "max_params": 8}, "space.min_params = 9 must be 0 or more, and at most space.max_params"),
        ({"n_feats": 0}, "space.n_feats = 0"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        SpaceSettings(**{**SMALL, **changes})


class Plain(nn.Cell):
    """A user's own block."""

    def __init__(self, n_in: int, n_convs: int, growth: int, n_out: int) -> None:
        super().__init__()
        self.convs = nn.SequentialCell(*[nn.Conv2d(n_in, n_in, 1, has_bias=True) for _ in range(n_convs)])
        self.leave = nn.Conv2d(n_in, n_out, 1, has_bias=True)


def test_a_users_block_joins_the_space_by_name(monkeypatch):
    monkeypatch.setitem(BLOCKS._entries, "plain", Plain)
    space = small(types=("plain", "S"), type_prob=(1, 1))
    assert sum(kind.type == "plain" for kind in space.kinds) == 6
    genome = Genome((True, False, True), (space.index["plain_2_4_8"], 0, space.index["S_1_4_4"]))
    blocks_cost = (2 * 72 + 72 + 8 * 8) + (space.costs.block(space.kinds[space.index["S_1_4_4"]], 8))
    assert space.parameters(genome) == space.costs.fixed + blocks_cost
    assert any("plain" in name for name in space.blocks(draw(space, np.random.default_rng(0))))


def test_a_type_that_is_not_registered_is_named():
    with pytest.raises(UnknownNameError, match="no block named 'Sx'"):
        small(types=("Sx",), type_prob=(1,)).check()
