"""Repair turns any genome into a network of the space."""

from __future__ import annotations

import math
from collections import Counter
from functools import cached_property

import numpy as np
import pytest
from srtrain_plugins.esr.search.costs import Costs
from srtrain_plugins.esr.search.repair import pick, repair, tails
from srtrain_plugins.esr.search.space import Space, SpaceSettings
from srtrain_plugins.esr.search.types import Genome

from srtrain.errors import RecipeError


class Arithmetic:
    """The costs of the authors' space, computed: building its 360 blocks would take longer than all these tests."""

    @cached_property
    def fixed(self):
        return Costs(2, 32).fixed

    def block(self, kind, n_in):
        n, g, o = kind.n_convs, kind.growth, kind.n_out

        def conv(i, o, px=1, groups=1):
            return i // groups * o * px * px + o

        total = o * 32
        total += conv(n_in, g) if n_in != g else 0
        total += conv(n_in, o) if o not in (n_in, g) else 0
        if kind.type == "G":
            total += sum(conv(c * g, g, 3, min(4, 2 ** int(math.log2(c)))) for c in range(1, n + 1))
            return total + conv((n + 1) * g, o)
        total += n * conv(g, g, 3) + sum(conv(c * g, g) for c in range(2, n + 1))
        return total + conv((n + 1) * g // (4 if kind.type == "C" else 1), o)


@pytest.fixture(scope="module")
def space():
    """The authors' space at x2."""
    return Space(SpaceSettings(), Arithmetic())


def test_the_arithmetic_is_that_of_blocks_that_are_built(space):
    kinds = np.random.default_rng(0).choice(len(space.kinds), 12, replace=False)
    for kind, n_in in zip((space.kinds[k] for k in kinds), (8, 16, 24, 32) * 3, strict=True):
        assert Costs(2, 32).block(kind, n_in) == Arithmetic().block(kind, n_in)


SMALL_COSTS = Costs(2, 8)  # remembers what it has counted


def narrow(**changes):
    settings = {
        "types": ("S",), "type_prob": (1,), "n_convs": (1, 2, 3), "growths": (4, 8), "growth_prob": (1, 1),
        "n_feats": 8, "n_nodes": 5, "min_active": 2, "min_params": 0, "max_params": 10**6, **changes,
    }  # fmt: skip
    return Space(SpaceSettings(**settings), SMALL_COSTS)


def any_genome(space, rng, p_on):
    on = rng.random(space.settings.n_nodes) < p_on
    return Genome(
        tuple(on.tolist()), tuple(rng.integers(len(space.kinds), size=space.settings.n_nodes).tolist())
    )


def test_it_always_lands(space):
    rng = np.random.default_rng(0)
    for k in range(1000):
        genome = any_genome(space, rng, p_on=(0.0, 0.5, 0.9, 1.0)[k % 4])
        repaired = repair(space, genome, space.prior, rng)
        blocks = space.blocks(repaired)
        total, width = space.costs.fixed, 32
        for kind in (space.kinds[space.index[name]] for name in blocks):
            total, width = total + space.costs.block(kind, width), kind.n_out
        assert 315_000 <= total <= 325_000
        assert 16 <= len(blocks) <= 20


def test_a_feasible_genome_is_left_alone(space):
    rng = np.random.default_rng(1)
    for _ in range(50):
        once = repair(space, any_genome(space, rng, 0.9), space.prior, rng)
        assert repair(space, once, space.prior, rng) == once


def test_it_changes_little_where_little_is_wrong(space):
    rng = np.random.default_rng(2)
    for _ in range(100):
        good = repair(space, any_genome(space, rng, 0.9), space.prior, rng)
        gene = int(rng.integers(20))
        kinds = list(good.kinds)
        kinds[gene] = int(rng.integers(len(space.kinds)))
        mended = repair(space, Genome(good.on, tuple(kinds)), space.prior, rng)
        genes, mended_genes = np.array([good.on, kinds]), np.array([mended.on, mended.kinds])
        differing = (genes != mended_genes).any(axis=0).sum()
        assert differing <= 2


def test_it_prefers_what_weighs_more(space):
    favourite = space.index["G_4_16_16"]
    heavy = np.ones(len(space.kinds))
    heavy[favourite] = 200
    counts = []
    for weights in (space.prior, heavy / heavy.sum()):
        rng = np.random.default_rng(3)
        counts.append(Counter())
        for _ in range(200):
            genome = any_genome(space, rng, 0.9)
            repaired = repair(space, genome, weights, rng)
            counts[-1].update(
                new for new, old in zip(repaired.kinds, genome.kinds, strict=True) if new != old
            )
    assert counts[1][favourite] > 3 * max(counts[0][favourite], 1)


@pytest.mark.slow
def test_where_no_single_change_helps_a_tail_is_drawn_anew():
    whole = narrow()
    totals = {}
    for blocks in whole.networks():
        genome = Genome((True,) * len(blocks), tuple(whole.index[name] for name in blocks))
        totals.setdefault(whole.parameters(genome), []).append(blocks)
    rng = np.random.default_rng(4)
    rare = [total for total, rows in sorted(totals.items()) if len(rows) == 1][:8]
    assert len(rare) == 8
    for total in rare:
        space = narrow(min_params=total, max_params=total)
        for _ in range(20):
            repaired = repair(space, any_genome(space, rng, 0.6), space.prior, rng)
            assert space.blocks(repaired) == totals[total][0]


def test_an_empty_space_is_an_error():
    space = narrow(min_params=1, max_params=2)
    with pytest.raises(RecipeError, match="no network of the space has 2 to 5 blocks and 1 to 2 parameters"):
        repair(space, Genome((True,) * 5, (0,) * 5), space.prior, np.random.default_rng(0))


def test_tails_keep_the_head_and_are_all_there_are():
    space = narrow(n_nodes=3, min_params=5000, max_params=6000)
    head = Genome((True, False, False), (space.index["S_2_4_8"], 0, 0))
    found = [space.blocks(g) for g in tails(space, head, 1, space.prior, np.random.default_rng(0))]
    assert len(found) == len(set(found))
    assert set(found) == {blocks for blocks in space.networks() if blocks[0] == "S_2_4_8"}
    everything = [space.blocks(g) for g in tails(space, head, 0, space.prior, np.random.default_rng(0))]
    assert sorted(everything) == sorted(space.networks())


def test_pick_draws_as_weights_say():
    rng = np.random.default_rng(5)
    drawn = np.bincount(pick(rng, np.array([1.0, 0.0, 3.0]), 4000), minlength=3)
    assert drawn[1] == 0
    assert drawn[2] / drawn[0] == pytest.approx(3, rel=0.15)
