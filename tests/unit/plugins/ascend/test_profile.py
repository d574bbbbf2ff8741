"""A real profile of some steps on a CPU."""

import json

import pytest
from srtrain_plugins.ascend.profile import ProfileHook

from srtrain.errors import RecipeError
from srtrain.hooks import Hook


def traces(trainer):
    return sorted((trainer.run_dir / "profile").rglob("trace_view.json"))


@pytest.mark.slow
def test_the_steps_asked_for_are_in_the_run_folder(make_trainer):
    trainer = make_trainer([ProfileHook(first=2, last=3)], 5)
    trainer.train()
    (trace,) = traces(trainer)
    names = {event.get("name", "") for event in json.loads(trace.read_text())}
    assert any("Conv2D" in name for name in names)
    log = (trainer.run_dir / "run.log").read_text()
    assert f"step 3: the profile is in {trainer.run_dir / 'profile'}" in log


def test_a_run_that_ends_before_its_time_keeps_what_there_is(make_trainer):
    class Fails(Hook):
        def after_step(self, trainer, out):
            if trainer.step == 2:
                raise ValueError("boom")

    trainer = make_trainer([ProfileHook(first=2, last=4), Fails()], 5)
    with pytest.raises(ValueError, match="boom"):
        trainer.train()
    assert len(traces(trainer)) == 1


def test_a_run_that_never_gets_there_writes_nothing(make_trainer):
    trainer = make_trainer([ProfileHook()], 3)
    trainer.train()
    assert not (trainer.run_dir / "profile").exists()


@pytest.mark.parametrize(("first", "last"), [(0, 3), (4, 3)])
def test_steps_that_do_not_follow_each_other_are_refused(first, last):
    with pytest.raises(
        RecipeError,
        match=rf"^hooks\.profile\.first = {first} and last = {last}: first must be 1 or more, and",
    ):
        ProfileHook(first, last)
