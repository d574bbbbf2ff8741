"""Schedules are pure functions of the number of finished updates."""

import itertools
import math

import pytest

from srtrain.errors import RecipeError
from srtrain.trainer.schedules import SCHEDULES
from srtrain.trainer.schedules.constant import constant
from srtrain.trainer.schedules.cosine import cosine
from srtrain.trainer.schedules.halve_every import halve_every
from srtrain.trainer.schedules.milestones import milestones

END = 100


def test_constant():
    factor = constant()
    assert [factor(step) for step in (0, 1, END - 1, END)] == [1, 1, 1, 1]


def test_milestones_at_0_before_and_at_each_milestone_and_at_the_end():
    factor = milestones(at=(40, 70))
    assert [factor(s) for s in (0, 39, 40, 69, 70, END - 1, END)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_one_milestone_with_another_gamma_lowers_the_rate_once():
    factor = milestones(at=(40,), gamma=0.1)
    assert [factor(s) for s in (0, 39, 40, END)] == [1, 1, 0.1, 0.1]


def test_no_milestones_is_constant():
    assert {milestones(at=())(step) for step in range(END)} == {1}


@pytest.mark.parametrize("at", [(0,), (40, 40), (70, 40), (-1, 5)])
def test_milestones_must_rise_from_above_0(at):
    with pytest.raises(RecipeError) as caught:
        milestones(at=at)
    assert str(caught.value) == f"the milestones of a schedule must rise from above 0, but at={at!r}."


def test_halve_every_goes_on_as_long_as_the_run():
    factor = halve_every(period=30)
    assert [factor(s) for s in (0, 29, 30, 59, 60, 89, 90, END)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_halve_every_needs_a_period():
    with pytest.raises(RecipeError, match=r"the period of halve_every must be at least 1 step, but is 0\."):
        halve_every(period=0)


def test_cosine_at_0_quarter_middle_and_end():
    factor = cosine(max_steps=END)
    assert factor(0) == 1
    assert factor(25) == pytest.approx(0.5 + math.sqrt(0.5) / 2)
    assert factor(50) == pytest.approx(0.5)
    assert 0 < factor(END - 1) < 3e-4
    assert factor(END) == pytest.approx(0, abs=1e-15)


def test_cosine_falls_all_the_way_to_final_and_stays():
    factor = cosine(max_steps=END, final=0.1)
    values = [factor(step) for step in range(END + 1)]
    assert all(a > b for a, b in itertools.pairwise(values))
    assert values[-1] == pytest.approx(0.1)
    assert factor(END + 50) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("make", "plain"),
    [
        (lambda: constant(warmup=10), lambda: constant()),
        (lambda: milestones(at=(5, 40), warmup=10), lambda: milestones(at=(5, 40))),
        (lambda: halve_every(period=30, warmup=10), lambda: halve_every(period=30)),
    ],
)
def test_warmup_rises_linearly_and_then_leaves_the_schedule_alone(make, plain):
    warmed, factor = make(), plain()
    for step in range(END + 1):
        assert warmed(step) == pytest.approx(factor(step) * min(1, (step + 1) / 10))
    assert warmed(0) == pytest.approx(0.1)  # the first update is not lost


def test_cosine_with_warmup_begins_to_fall_where_the_warmup_ends():
    factor = cosine(max_steps=END, warmup=10)
    assert [factor(s) for s in (0, 8, 9, 10)] == pytest.approx([0.1, 0.9, 1, 1])
    assert factor(55) == pytest.approx(0.5)
    assert factor(END) == pytest.approx(0, abs=1e-15)


def test_a_warmup_longer_than_the_run_only_rises():
    factor = cosine(max_steps=5, warmup=10)
    assert [factor(s) for s in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_a_negative_warmup_is_refused():
    with pytest.raises(RecipeError, match=r"warmup must be 0 steps or more, but is -1\."):
        constant(warmup=-1)


def test_the_names_a_recipe_can_say():
    assert SCHEDULES.names() == ["constant", "cosine", "halve_every", "milestones"]
