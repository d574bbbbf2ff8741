"""The contract of hooks is checked before a run starts, and the plan can be read."""

import inspect

import pytest

from srtrain.errors import HookError
from srtrain.hooks import EVAL, FIRST, LAST, LOG, NORMAL, SAVE, STATE, Hook
from srtrain.trainer.hook import POINTS, overrides, plan, plan_text


def refusal(*hooks):
    with pytest.raises(HookError) as caught:
        plan(hooks)
    return str(caught.value)


class Stateful(Hook):
    state_key = "mine"

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        """A hook without state."""


def test_saving_comes_before_evaluating_and_writers_come_last():
    assert FIRST < STATE < SAVE < EVAL < NORMAL < LOG < LAST
    assert Hook.order == NORMAL


def test_the_base_class_keeps_its_own_contract():
    for name, parameters in POINTS.items():
        assert tuple(inspect.signature(getattr(Hook, name)).parameters) == parameters
    assert plan([Hook()])


def test_hooks_are_sorted_and_ties_stay_as_listed():
    def hook(order):
        made = Hook()
        made.order = order
        return made

    hooks = [hook(order) for order in (60, 20, 60, 0, 20)]
    assert plan(hooks) == [hooks[3], hooks[1], hooks[4], hooks[0], hooks[2]]


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("after_stpe", " Did you mean 'after_step'?"),
        ("before_training", " Did you mean 'before_train'?"),
        ("on_eror", " Did you mean 'on_error'?"),
        ("after_epoch", ""),
    ],
)
def test_a_misnamed_point_is_refused_with_a_suggestion(name, guess):
    kind = type("Mine", (Hook,), {name: lambda self, trainer: None})
    text = refusal(kind())
    assert text.startswith(f"Mine.{name} is not a point of a hook.{guess}")
    assert text.endswith(
        " Points: after_eval, after_save, after_step, after_train, before_eval, before_step, before_train, close, "
        "on_error, setup. Begin the name of a helper method with an underscore."
    )


def test_a_helper_with_an_underscore_is_no_point():
    class Mine(Hook):
        def _after_all(self):
            """A helper."""

        def sum_up(self):
            """Another."""

    assert plan([Mine()])


@pytest.mark.parametrize(
    ("point", "function", "given"),
    [
        ("after_step", lambda self, trainer, output: None, "self, trainer, output"),
        ("after_step", lambda self, trainer: None, "self, trainer"),
        ("setup", lambda self, trainer, more=None: None, "self, trainer, more"),
        ("before_eval", lambda trainer, self, benchmark: None, "trainer, self, benchmark"),
    ],
)
def test_other_parameter_names_are_refused(point, function, given):
    kind = type("Mine", (Hook,), {point: function})
    assert refusal(kind()) == (
        f"Mine.{point}({given}) must be {point}({', '.join(POINTS[point])}): "
        f"the parameter names are part of the contract."
    )


def test_an_inherited_mistake_is_found_too():
    class Base(Hook):
        def after_evaluation(self, trainer, result):
            """Misnamed."""

    class Mine(Base):
        pass

    assert refusal(Mine()).startswith("Mine.after_evaluation is not a point of a hook. Did you mean 'after_")


def test_two_stateful_hooks_need_two_keys():
    class Other(Stateful):
        pass

    assert refusal(Stateful(), Hook(), Other()) == (
        "Other and Stateful both keep state under 'mine'; give one of them another state_key."
    )
    Other.state_key = "other"
    assert len(plan([Stateful(), Other()])) == 2


def test_the_same_hook_twice_would_lose_one_state():
    assert "Stateful and Stateful both keep state under 'mine'" in refusal(Stateful(), Stateful())


def test_hooks_without_state_need_no_key():
    assert len(plan([Hook(), Hook()])) == 2


def test_state_without_a_key_is_refused():
    class Mine(Stateful):
        state_key = ""

    assert refusal(Mine()) == "Mine has a state_dict but no state_key to store it under."


def test_all_mistakes_are_reported_together():
    class Mine(Stateful):
        state_key = ""

        def after_stp(self, trainer, out):
            """Misnamed."""

        def setup(self, t):
            """Wrong parameter."""

    assert len(refusal(Mine(), Stateful(), Stateful()).splitlines()) == 4


def test_what_a_hook_does_not_define_it_does_not_do():
    class Mine(Hook):
        def after_step(self, trainer, out):
            """Something."""

    assert overrides(Mine(), "after_step")
    assert not overrides(Mine(), "before_step")


def test_the_plan_is_a_tree_of_points_with_hooks_in_order():
    class Early(Hook):
        order = STATE

        def after_step(self, trainer, out):
            """Something."""

        def close(self, trainer):
            """Something."""

    class Late(Early):
        order = LOG

    lines = plan_text(plan([Late(), Early()])).splitlines()
    assert lines[0] == "a run"
    at = lines.index("│   ├── after_step(trainer, out)")
    assert [" ".join(line.split()) for line in lines[at + 1 : at + 3]] == [
        f"│ │ 20 Early ({__name__})",
        f"│ │ 90 Late ({__name__})",
    ]
    assert [line.split()[2] for line in lines[lines.index("├── close(trainer)") + 1 :]] == ["Late", "Early"]
    points = [line.strip("│├─ ").split("(")[0] for line in lines if "├──" in line]
    assert points == list(POINTS)


def test_a_class_that_is_no_hook_is_refused():
    class NoHook:
        def after_step(self, trainer, out):
            """Never called."""

    with pytest.raises(HookError, match="NoHook"):
        plan([NoHook()])


@pytest.mark.parametrize("key", ["model", "optimizer", "state", "a/b", "../x"])
def test_a_state_key_that_would_overwrite_another_file_is_refused(key):
    class Mine(Hook):
        state_key = key

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            """Never called."""

    with pytest.raises(HookError, match=r"state_key"):
        plan([Mine()])


def test_state_that_is_written_and_never_read_is_refused():
    class Mine(Hook):
        state_key = "mine"

        def state_dict(self):
            return {"n": 1}

    with pytest.raises(HookError, match="load_state_dict"):
        plan([Mine()])
