"""Credit: samples computed by hand, properties of the weights, and good kinds found over many searches."""

from __future__ import annotations

import numpy as np
import pytest
from srtrain_plugins.esr.search.costs import Costs
from srtrain_plugins.esr.search.credit import CREDITS, Ablation, Lineage, Tally, Uniform
from srtrain_plugins.esr.search.evolution import Evolution, EvolutionSettings
from srtrain_plugins.esr.search.selection import Scored
from srtrain_plugins.esr.search.space import Space, SpaceSettings
from srtrain_plugins.esr.search.types import Genome, Individual, Outcome

from srtrain.errors import RecipeError

GOOD = "G_2_4_8"


@pytest.fixture(scope="module")
def space():
    """18 kinds, everything in the window."""
    settings = SpaceSettings(
        n_convs=(1, 2), conv_prob=(1, 1), growths=(4, 8), growth_prob=(1, 1), n_feats=8,
        n_nodes=8, min_active=6, min_params=0, max_params=10**7,
    )  # fmt: skip
    return Space(settings, Costs(2, 8))


def scored(number, blocks, fitness, parents=(), drops=()):
    genome = Genome((True,) * len(blocks), (0,) * len(blocks))
    individual = Individual(number, 0, genome, tuple(blocks), "mutation", parents)
    return Scored(individual, Outcome({"psnr": fitness}, drops=drops), fitness)


def tally_of(space, samples):
    tally = Tally(space)
    tally.add(samples)
    return tally


def test_lineage_compares_with_the_first_parent():
    a, b, c = "S_1_4_4", "S_1_4_8", "G_1_4_4"
    old = [scored(0, (a, a, b), 30.0), scored(1, (c, c), 10.0)]
    new = [
        scored(2, (a, b, b), 31.0, (0, 1)),  # gains 1.0: one a less, one b more
        scored(3, (b, a, a, c), 30.2, (0,)),  # gains 0.2: one c more; order is nothing
        scored(4, (c, c, a), 9.4, (1, 0)),  # loses 0.6: one a more
        scored(5, (b, b), 50.0),  # of no parents
    ]
    known = {each.individual.number: each for each in old + new}
    expected = (1.0 + 0.2 - 0.6) / 3
    found = sorted(Lineage().samples(new, known))
    by_hand = sorted([(a, expected - 1.0), (b, 1.0 - expected), (c, 0.2 - expected), (a, -0.6 - expected)])
    assert [name for name, _ in found] == [name for name, _ in by_hand]
    assert [good for _, good in found] == pytest.approx([good for _, good in by_hand])


def test_ablation_takes_the_drops_there_are():
    members = [
        scored(0, ("S_1_4_4", "G_1_4_8"), 30.0, drops=(0.3, None)),
        scored(1, ("S_1_4_4", "S_1_4_8"), 30.0),
    ]
    assert list(Ablation().samples(members, {})) == [("S_1_4_4", 0.3)]
    assert Ablation.needs_drops
    assert not Lineage.needs_drops
    assert not Uniform.needs_drops


@pytest.mark.parametrize("name", ["uniform", "lineage", "ablation"])
def test_without_samples_or_differences_the_prior_stands(space, name):
    credit = CREDITS.build(name)
    assert credit.weights(space, Tally(space)).tolist() == space.prior.tolist()
    same = tally_of(space, [(kind, 0.1) for kind in space.names] * 3)
    assert credit.weights(space, same).tolist() == space.prior.tolist()


def test_no_kind_dies_and_the_weights_sum_to_1(space):
    samples = [(name, 1e3 if name == GOOD else -1e3) for name in space.names] * 50
    weights = Lineage(temperature=0.01, floor=0.2).weights(space, tally_of(space, samples))
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0.2 * space.prior * (1 - 1e-12)).all()
    assert weights[space.index[GOOD]] > 0.8


def test_more_samples_say_more(space):
    rng = np.random.default_rng(0)
    noise = [(str(name), float(rng.normal())) for name in rng.choice(space.names, 400)]

    def ratio(n):
        weights = Lineage().weights(space, tally_of(space, noise + [(GOOD, 2.0)] * n))
        return weights[space.index[GOOD]] / space.prior[space.index[GOOD]]

    ratios = [ratio(n) for n in (0, 2, 8, 32)]
    assert ratios == sorted(ratios)
    assert ratios[-1] > 2 * ratios[0]


def test_a_kind_nobody_tried_has_the_credit_of_its_type(space):
    samples = [(name, {"S": 0.0, "G": 1.0, "C": -1.0}[name[0]]) for name in space.names if name != GOOD] * 5
    credit = dict(
        zip(space.names, Lineage().weights(space, tally_of(space, samples)) / space.prior, strict=True)
    )
    assert credit[GOOD] > 1.2
    assert credit[GOOD] <= credit["G_1_4_8"]
    assert (
        max(v for k, v in credit.items() if k[0] == "C")
        < 1
        < min(v for k, v in credit.items() if k[0] == "G")
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"floor": 0.0}, "credit.floor = 0.0 must be above 0 and at most 1"),
        ({"floor": 1.5}, "credit.floor = 1.5"),
        ({"temperature": 0.0}, "credit.temperature = 0.0 must be above 0"),
        ({"pseudo_count": -1.0}, "credit.pseudo_count = -1.0"),
    ],
)
def test_settings_that_make_no_sense(given, message):
    with pytest.raises(RecipeError, match=message):
        Lineage(**given)


def search(space, name, seed):
    """Search where one kind is good, and fitness is noisy; return how often mutation draws it in the end."""
    noise = np.random.default_rng(seed)
    evolution = Evolution(space, seed, EvolutionSettings(n_generations=8), credit=CREDITS.build(name))
    while not evolution.done:
        for individual in evolution.ask():
            psnr = 30 + 0.1 * individual.blocks.count(GOOD) + noise.normal(0, 0.05)
            drops = [(0.1 if kind == GOOD else 0.0) + noise.normal(0, 0.05) for kind in individual.blocks]
            evolution.tell(individual, Outcome({"psnr": psnr}, drops=tuple(drops)))
    return evolution.history[-1].credit[GOOD]


@pytest.mark.parametrize("name", ["lineage", "ablation"])
def test_a_good_kind_is_found_in_the_noise(space, name):
    credits_ = [search(space, name, seed) for seed in range(12)]
    assert np.mean(credits_) - 3 * np.std(credits_) / np.sqrt(12) > 1.2
    assert sum(credit > 1 for credit in credits_) >= 10
    assert search(space, "uniform", 0) == 1
