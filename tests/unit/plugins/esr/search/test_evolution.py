"""The evolution's interface: ask, tell, the end, and a replay."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from srtrain_plugins.esr.search.costs import Costs
from srtrain_plugins.esr.search.credit import CREDITS
from srtrain_plugins.esr.search.evolution import Evolution, EvolutionSettings
from srtrain_plugins.esr.search.space import Space, SpaceSettings
from srtrain_plugins.esr.search.types import Outcome

from srtrain.errors import RecipeError, SrtrainError

SEVERAL = ("psnr", "parameters", "multi_adds")


def new_space(**changes):
    settings = {
        "types": ("S", "G"), "type_prob": (1, 1), "n_convs": (1, 2), "conv_prob": (1, 1), "growths": (4, 8),
        "growth_prob": (1, 1), "n_feats": 8, "n_nodes": 6, "min_active": 4, "min_params": 0, "max_params": 10**6,
        **changes,
    }  # fmt: skip
    return Space(SpaceSettings(**settings), Costs(2, 8))


@pytest.fixture(scope="module")
def space():
    whole = new_space()
    typical = sorted(whole.parameters(g) for g in draws(whole, 200))
    return new_space(min_params=typical[60], max_params=typical[140])


def draws(space, n):
    from srtrain_plugins.esr.search.variation import draw

    rng = np.random.default_rng(0)
    return [draw(space, rng) for _ in range(n)]


def outcome_of(blocks):
    """A made-up outcome that depends on the blocks alone."""
    digest = hashlib.sha256(" ".join(blocks).encode()).digest()
    psnr = 30 + sum(block.startswith("G") for block in blocks) / 10 + digest[0] / 1000
    objectives = {"psnr": psnr, "parameters": 1000.0 * len(blocks) + digest[1], "multi_adds": 1e6 * digest[2]}
    return Outcome(objectives, drops=tuple(byte / 1000 for byte in digest[3 : 3 + len(blocks)]))


def run(evolution, outcome=outcome_of, order=lambda individuals: individuals, generations=10**9):
    for _ in range(generations):
        if evolution.done:
            break
        for individual in order(evolution.ask()):
            evolution.tell(individual, outcome(individual.blocks))
    return evolution


@pytest.fixture(params=["uniform", "lineage", "ablation"])
def credit(request):
    return CREDITS.build(request.param)


@pytest.mark.parametrize("objectives", [("psnr",), SEVERAL])
@pytest.mark.parametrize("selection", ["tournament", "roulette"])
def test_a_whole_search(space, objectives, selection, credit):
    settings = EvolutionSettings(n_generations=6, selection=selection)
    evolution = run(Evolution(space, 1, settings, objectives, credit))
    members = [member for generation in evolution.history for member in generation.members]
    assert [individual.number for individual, _ in members] == list(range(48))
    assert len({individual.blocks for individual, _ in members}) == 48
    assert all(space.feasible(individual.genome) for individual, _ in members)
    assert all(individual.blocks == space.blocks(individual.genome) for individual, _ in members)
    for generation in evolution.history[1:]:
        origins = [individual.origin for individual, _ in generation.members]
        assert origins == ["mutation"] * 4 + ["crossover"] * 4
    assert evolution.why_done == "all 6 generations are done"
    assert evolution.best == max(members, key=lambda m: m[1].objectives["psnr"])
    assert evolution.ask() == []


def test_parents_are_elites_or_of_the_newest_generation(space):
    evolution = run(Evolution(space, 2, EvolutionSettings(n_generations=8)))
    known = {}
    for before, generation in itertools.pairwise(evolution.history):
        known.update((individual.number, outcome) for individual, outcome in before.members)
        newest = {individual.number for individual, _ in before.members}
        best = sorted(known, key=lambda n: -known[n].objectives["psnr"])[:4]
        assert list(before.elites) == best
        for place, (individual, _) in enumerate(generation.members):
            if individual.origin == "mutation":
                assert individual.parents == (before.elites[place % 4],)
            else:
                a, b = individual.parents
                assert a != b
                assert {a, b} <= newest | set(before.elites) | set(
                    evolution.history[individual.generation - 2].elites
                )


@pytest.mark.parametrize("objectives", [("psnr",), SEVERAL])
def test_the_order_of_telling_is_nothing(space, objectives, credit):
    shuffle = np.random.default_rng(0)

    def shuffled(individuals):
        return [individuals[k] for k in shuffle.permutation(len(individuals))]

    settings = EvolutionSettings(n_generations=5)
    searches = [
        run(Evolution(space, 3, settings, objectives, credit), order=order)
        for order in (lambda individuals: individuals, shuffled, lambda individuals: individuals[::-1])
    ]
    assert searches[0].history == searches[1].history == searches[2].history
    assert searches[0].archive == searches[1].archive == searches[2].archive


def test_a_search_is_resumed_by_replaying_it(space, credit):
    settings = EvolutionSettings(n_generations=6)
    whole = run(Evolution(space, 4, settings, SEVERAL, credit))
    journal = {i.blocks: outcome for generation in whole.history[:3] for i, outcome in generation.members}
    again = run(Evolution(space, 4, settings, SEVERAL, credit), outcome=journal.__getitem__, generations=3)
    assert again.history == whole.history[:3]
    assert run(again).history == whole.history
    other = run(Evolution(space, 5, settings, SEVERAL, credit))
    assert other.history != whole.history


def test_it_finds_better_networks_than_chance_does(space):
    settings = EvolutionSettings(n_generations=8)
    chance = EvolutionSettings(n_generations=1, n_individuals=64)
    gains = [
        run(Evolution(space, seed, settings)).best[1].objectives["psnr"]
        - run(Evolution(space, seed, chance)).best[1].objectives["psnr"]
        for seed in range(10)
    ]
    assert np.mean(gains) > 2 * np.std(gains) / np.sqrt(10)


@pytest.mark.parametrize("objectives", [("psnr",), SEVERAL])
def test_what_failed_is_no_parent_and_has_no_score(space, objectives):
    failed = set()

    def some_fail(blocks):
        if hashlib.sha256(blocks[0].encode()).digest()[0] % 2 and len(blocks) > 4:
            failed.add(blocks)
            return Outcome({}, "the loss was NaN at step 3")
        return outcome_of(blocks)

    evolution = run(Evolution(space, 6, EvolutionSettings(n_generations=6), objectives), some_fail)
    numbers = {i.number for g in evolution.history for i, outcome in g.members if outcome.failed}
    assert len(numbers) == len(failed) > 3
    for generation in evolution.history:
        assert not numbers & set(generation.elites)
        assert not any(numbers & set(individual.parents) for individual, _ in generation.members)
    assert not failed & {individual.blocks for individual, _ in evolution.archive}


def test_a_generation_of_failures_is_followed_by_a_random_one(space):
    evolution = Evolution(space, 7, EvolutionSettings(n_generations=5))
    run(evolution, lambda blocks: Outcome({}, "out of memory"), generations=2)
    assert evolution.best is None
    assert evolution.archive == []
    assert evolution.history[-1].elites == ()
    assert {individual.origin for individual, _ in evolution.history[-1].members} == {"random"}
    run(evolution)
    assert len(evolution.history) == 5
    assert evolution.history[3].members[0][0].origin == "mutation"


def test_three_generations_of_failures_end_it(space):
    evolution = Evolution(space, 8, EvolutionSettings())
    run(evolution, generations=1)
    with pytest.raises(
        SrtrainError, match=r"all 24 networks of the last 3 generations have failed\. 24 times: no"
    ):
        run(evolution, lambda blocks: Outcome({}, "no memory"))
    assert len(evolution.history) == 4


def test_one_survivor_is_enough(space):
    evolution = Evolution(space, 9, EvolutionSettings(n_generations=3, n_individuals=4))
    for individual in evolution.ask():
        evolution.tell(individual, Outcome({}, "NaN") if individual.number else outcome_of(individual.blocks))
    children = evolution.ask()
    assert [(child.origin, child.parents) for child in children] == [("mutation", (0,))] * 4


def test_a_small_space_is_searched_to_its_end():
    space = new_space(types=("S",), type_prob=(1,), growths=(4,), growth_prob=(1,), n_nodes=3, min_active=2)
    evolution = run(Evolution(space, 10, EvolutionSettings(n_individuals=5, n_retries=3)))
    asked = [i.blocks for generation in evolution.history for i, _ in generation.members]
    assert sorted(asked) == sorted(space.networks())
    assert [len(generation.members) for generation in evolution.history] == [5, 5, 2]
    assert evolution.why_done == "all 12 networks of the space have been evaluated"


def test_it_is_not_done_while_the_last_ones_are_waited_for():
    space = new_space(types=("S",), type_prob=(1,), growths=(4,), growth_prob=(1,), n_nodes=2, min_active=2)
    evolution = Evolution(space, 11, EvolutionSettings())
    individuals = evolution.ask()
    assert len(individuals) == 4
    for individual in individuals:
        assert not evolution.done
        evolution.tell(individual, outcome_of(individual.blocks))
    assert evolution.why_done == "all 4 networks of the space have been evaluated"


def test_mutation_without_a_rate_still_brings_new_ones(space):
    evolution = run(Evolution(space, 12, EvolutionSettings(3, mutation_rate=0.0, n_retries=2)))
    members = [individual for generation in evolution.history for individual, _ in generation.members]
    assert len({individual.blocks for individual in members}) == 24
    assert {individual.origin for individual in members[8:12]} == {"random"}


def test_credit_is_shown_for_every_kind(space, credit):
    evolution = run(Evolution(space, 13, EvolutionSettings(n_generations=3), credit=credit))
    for generation in evolution.history:
        assert list(generation.credit) == list(space.names)
        shares = np.array(list(generation.credit.values())) * space.prior
        assert shares.sum() == pytest.approx(1)
    varied = len(set(evolution.history[-1].credit.values())) > 1
    assert varied == (type(credit).__name__ != "Uniform")


def test_hypervolume_grows_with_several_objectives_alone(space):
    volumes = [g.hypervolume for g in run(Evolution(space, 14, objectives=SEVERAL)).history]
    assert volumes == sorted(volumes)
    assert volumes[-1] > volumes[0] > 0
    assert {g.hypervolume for g in run(Evolution(space, 14)).history} == {None}


def test_misuse_is_refused(space):
    evolution = Evolution(space, 15)
    first, second, *_ = evolution.ask()
    with pytest.raises(SrtrainError, match="has not been told of individuals 0, 1, 2"):
        evolution.ask()
    evolution.tell(first, outcome_of(first.blocks))
    with pytest.raises(SrtrainError, match="outcome of individual 0 was reported, but"):
        evolution.tell(first, outcome_of(first.blocks))
    with pytest.raises(SrtrainError, match="has no finite psnr"):
        evolution.tell(second, Outcome({"psnr": float("nan")}))
    with pytest.raises(SrtrainError, match="has no finite psnr"):
        evolution.tell(second, Outcome({"parameters": 3.0}))


def test_an_empty_space_is_refused_at_once():
    with pytest.raises(RecipeError, match="no network of the space"):
        Evolution(new_space(min_params=1, max_params=2), 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_individuals": 0}, "evolution.n_individuals = 0 must be 1 or more"),
        ({"mutation_rate": 1.5}, "evolution.mutation_rate = 1.5 must be from 0 to 1"),
        (
            {"selection": "tournement"},
            r"evolution.selection = 'tournement' is not known. Did you mean 'tournament'\?",
        ),
    ],
)
def test_settings_that_make_no_sense(given, message):
    with pytest.raises(RecipeError, match=message):
        EvolutionSettings(**given)
