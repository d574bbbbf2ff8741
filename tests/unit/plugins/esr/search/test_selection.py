"""Comparison of individuals, checked against the definitions for each pair."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from srtrain_plugins.esr.search.selection import Objectives, Population, Scored, Yardstick, two_parents
from srtrain_plugins.esr.search.types import Genome, Individual, Outcome

from srtrain.errors import DeviceError, RecipeError


def scored(number, **objectives):
    individual = Individual(number, 0, Genome((True,), (number,)), (f"S_1_4_{number}",), "random")
    return Scored(individual, Outcome(objectives), objectives["psnr"])


def numbers(members):
    return [each.individual.number for each in members]


def dominates(a, b):
    return (a >= b).all() and (a > b).any()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("psnr", "paramters"), r"no objective 'paramters'\. Did you mean 'parameters'\?"),
        ((), "at least one"),
        (("psnr", "psnr"), "each only once"),
    ],
)
def test_objectives_that_are_none(names, message):
    with pytest.raises(RecipeError, match=message):
        Objectives(names)


def test_several_objectives_without_their_library(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "moocore":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DeviceError, match=r"pip install 'srtrain\[esr\]'"):
        Objectives(("psnr", "parameters"))
    assert Objectives(("psnr",)).names == ("psnr",)


def test_values_are_turned_so_that_more_is_better():
    values = Objectives(("psnr", "parameters")).values([Outcome({"psnr": 33.0, "parameters": 5.0})])
    assert values.tolist() == [[33.0, -5.0]]
    assert Objectives(("latency",)).first(Outcome({"latency": 0.2, "psnr": 3.0})) == -0.2


def test_with_one_objective_the_best_come_first_and_the_older_of_equals():
    population = Population(Objectives(("psnr",)), 3)
    population.add([scored(0, psnr=1.0), scored(1, psnr=3.0), scored(2, psnr=3.0), scored(3, psnr=2.0)])
    assert numbers(population.pool) == [1, 2, 3, 0]
    assert numbers(population.archive) == [1]
    population.add([scored(4, psnr=3.0), scored(5, psnr=2.5)])
    assert numbers(population.pool) == [1, 2, 4, 5, 3]
    assert numbers(population.elites) == [1, 2, 4]
    assert population.hypervolume() is None
    population.add([])
    assert numbers(population.pool) == [1, 2, 4]


@pytest.mark.parametrize("names", [("psnr", "parameters"), ("psnr", "parameters", "multi_adds", "latency")])
def test_with_several_the_elites_and_the_archive_are_not_dominated(names):
    rng = np.random.default_rng(0)
    population = Population(Objectives(names), 4)
    everybody, volumes = [], []
    for generation in range(6):
        newest = [
            scored(8 * generation + k, **dict(zip(names, rng.integers(0, 9, len(names)) / 2.0, strict=True)))
            for k in range(8)
        ]
        everybody += newest
        before = numbers(population.elites)
        population.add(newest)
        assert set(numbers(population.pool)) == {*before, *numbers(newest)}
        rows = {each.individual.number: population.objectives.values([each.outcome])[0] for each in everybody}
        best_of_all = [n for n in rows if not any(dominates(other, rows[n]) for other in rows.values())]
        assert numbers(population.archive) == sorted(best_of_all)
        pool = numbers(population.pool)
        front = [n for n in pool if not any(dominates(rows[m], rows[n]) for m in pool)]
        assert set(numbers(population.elites)) <= set(front) or set(front) <= set(numbers(population.elites))
        volumes.append(population.hypervolume())
    assert volumes == sorted(volumes)
    assert volumes[-1] > volumes[0] > 0


def test_of_one_front_those_that_stand_alone_come_first_and_copies_last():
    at = [(0.0, 4.0), (0.9, 3.1), (1.0, 3.0), (1.0, 3.0), (3.0, 1.0), (4.0, 0.0), (0.5, 0.5)]
    values = np.array(at)
    order = Objectives(("psnr", "parameters")).order(values)
    assert order[0] == 4
    assert order.index(3) == 5
    assert order[6] == 6


def test_hypervolume_is_in_units_of_the_first_generation():
    first = np.array([[30.0, -400.0], [32.0, -200.0], [31.0, -100.0]])
    yardstick = Yardstick(first)
    assert yardstick.hypervolume(first) == pytest.approx(0.5 * 1 + (1 - 0.5) * (200 / 300))
    assert yardstick.hypervolume(np.array([[33.0, -250.0]])) == pytest.approx(1.5 * 0.5)
    assert yardstick.hypervolume(np.array([[29.0, -1.0]])) == 0
    flat = Yardstick(np.array([[30.0, -400.0]]))
    assert flat.hypervolume(np.array([[33.0, -200.0]])) == pytest.approx(3 / 30 * 200 / 400)


@pytest.mark.parametrize("selection", ["tournament", "roulette"])
@pytest.mark.parametrize("fitness", [[5.0, 5.0, 5.0, 5.0], [0.0, 0.0], [3.0, 2.0, 1.0, -7.0]])
def test_two_parents_are_two(selection, fitness):
    rng = np.random.default_rng(0)
    pairs = [two_parents(selection, np.array(fitness), rng) for _ in range(2000)]
    assert all(a != b for a, b in pairs)
    counts = np.bincount(np.ravel(pairs), minlength=len(fitness))
    if len(set(fitness)) == 1:
        assert counts == pytest.approx(np.full(len(fitness), 4000 / len(fitness)), rel=0.1)
    else:
        assert counts[0] > counts[1] > counts[2] > 1.5 * counts[3]


def test_the_wheel_leaves_the_worst_a_share():
    rng = np.random.default_rng(0)
    firsts = [two_parents("roulette", np.array([33.0, 32.5, 32.0]), rng)[0] for _ in range(3000)]
    assert np.bincount(firsts) / 3000 == pytest.approx(np.array([4 / 3, 5 / 6, 1 / 3]) / 2.5, abs=0.03)
