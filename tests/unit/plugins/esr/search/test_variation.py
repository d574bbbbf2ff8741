"""Random genomes, genomes from one parent (mutation) and from two (crossover)."""

from __future__ import annotations

import numpy as np
import pytest
from srtrain_plugins.esr.search.costs import Costs
from srtrain_plugins.esr.search.space import Space, SpaceSettings
from srtrain_plugins.esr.search.types import Genome
from srtrain_plugins.esr.search.variation import cross, draw, mutate


def wide(n_nodes=12, min_active=1, **changes):
    """A space in which every genome is feasible, so nothing is repaired."""
    settings = {
        "types": ("S", "G"), "type_prob": (3, 1), "n_convs": (1, 2), "conv_prob": (1, 1), "growths": (8,),
        "growth_prob": (1,), "n_feats": 8, "min_params": 0, "max_params": 10**7, **changes,
    }  # fmt: skip
    return Space(SpaceSettings(n_nodes=n_nodes, min_active=min_active, **settings), Costs(2, 8))


def test_draws_have_the_priors_kinds_and_every_number_of_blocks():
    space, rng = wide(n_nodes=6, min_active=3), np.random.default_rng(0)
    genomes = [draw(space, rng) for _ in range(1000)]
    shares = np.bincount(np.ravel([g.kinds for g in genomes]), minlength=4) / 6000
    assert shares == pytest.approx(space.prior, abs=0.03)
    lengths = np.bincount([sum(g.on) for g in genomes], minlength=7) / 1000
    assert lengths[:3].sum() == 0
    assert lengths[3:] == pytest.approx(0.25, abs=0.06)
    assert np.mean([g.on for g in genomes], axis=0) == pytest.approx(0.75, abs=0.06)


def test_draws_are_in_the_window_however_small():
    middle = wide(n_nodes=6, min_active=3)
    total = middle.parameters(Genome((True,) * 5 + (False,), (0, 1, 2, 3, 0, 0)))
    space = wide(n_nodes=6, min_active=3, min_params=total, max_params=total)
    rng = np.random.default_rng(0)
    assert all(space.feasible(draw(space, rng)) for _ in range(50))


def test_mutation_touches_each_gene_with_its_rate():
    space, rng = wide(min_active=1), np.random.default_rng(1)
    parent = Genome((True,) * 12, (0,) * 12)
    assert mutate(space, parent, 0, space.prior, rng) == parent
    children = [mutate(space, parent, 0.1, space.prior, rng) for _ in range(1000)]
    assert 1 - np.mean([g.on for g in children]) == pytest.approx(0.1, abs=0.015)
    changed = np.mean([[k != 0 for k in g.kinds] for g in children])
    assert changed == pytest.approx(0.1 * (1 - space.prior[0]), abs=0.015)


def test_mutation_draws_kinds_by_the_weights():
    space, rng = wide(), np.random.default_rng(2)
    weights = np.array([0.1, 0.1, 0.1, 0.7])
    child_kinds = [
        mutate(space, Genome((True,) * 12, (0,) * 12), 1.0, weights, rng).kinds for _ in range(300)
    ]
    assert np.bincount(np.ravel(child_kinds), minlength=4) / 3600 == pytest.approx(weights, abs=0.03)


@pytest.mark.parametrize(
    ("n_nodes", "shortest", "longest"), [(20, 4, 10), (12, 4, 6), (6, 3, 3), (2, 1, 1), (1, 1, 1)]
)
def test_crossover_takes_one_segment(n_nodes, shortest, longest):
    space, rng = wide(n_nodes=n_nodes), np.random.default_rng(3)
    first, second = Genome((True,) * n_nodes, (0,) * n_nodes), Genome((True,) * n_nodes, (1,) * n_nodes)
    lengths, touched = set(), set()
    for _ in range(300):
        taken = np.flatnonzero(np.array(cross(space, first, second, space.prior, rng).kinds) == 1)
        assert (np.diff(taken) == 1).all()
        lengths.add(len(taken))
        touched.update(taken.tolist())
    assert lengths == set(range(shortest, longest + 1))
    assert touched == set(range(n_nodes))


def test_parents_are_not_touched():
    space, rng = wide(), np.random.default_rng(4)
    first, second = draw(space, rng), draw(space, rng)
    before = (first.on, first.kinds, second.on, second.kinds)
    for _ in range(20):
        mutate(space, first, 0.5, space.prior, rng)
        cross(space, first, second, space.prior, rng)
    assert (first.on, first.kinds, second.on, second.kinds) == before
