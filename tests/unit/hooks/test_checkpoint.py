"""When checkpoints are written, and which are kept."""

import pytest

from srtrain.errors import RecipeError
from srtrain.hooks import EVAL, Hook
from srtrain.hooks.checkpoint import CheckpointHook


class Saves(Hook):
    def __init__(self):
        self.at = []

    def after_save(self, trainer, path):
        self.at.append(trainer.step)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("every", "steps", "at"), [(2, 6, [2, 4, 6]), (2, 5, [2, 4, 5]), (10, 3, [3]), (1, 2, [1, 2])]
)
def test_every_so_often_and_with_the_last_step(make_trainer, every, steps, at):
    saves = Saves()
    make_trainer([CheckpointHook(every=every), saves], steps).train()
    assert saves.at == at


def test_the_last_step_is_saved_before_it_is_evaluated(make_trainer):
    class CrashesLikeAnEvaluation(Hook):
        order = EVAL

        def after_step(self, trainer, out):
            if trainer.finished:
                raise ValueError("boom")

    trainer = make_trainer([CrashesLikeAnEvaluation(), CheckpointHook(every=100)], 3)
    with pytest.raises(ValueError, match="boom"):
        trainer.train()
    assert trainer.store.steps() == [3]


def test_a_requested_stop_saves_what_would_be_lost(make_trainer):
    class Stop(Hook):
        def after_step(self, trainer, out):
            if trainer.step == 3:
                trainer.request_stop("enough")

    trainer = make_trainer([CheckpointHook(every=2), Stop()], 9)
    trainer.train()
    assert trainer.store.steps() == [2, 3]
    assert trainer.store.latest() == trainer.store.path(3)


def test_the_newest_are_kept_and_the_best_stays(make_trainer):
    class Best(Hook):
        def after_save(self, trainer, path):
            if trainer.step == 2:
                trainer.store.mark_best(2, value=1.0)

    trainer = make_trainer([CheckpointHook(every=1, keep=2), Best()], 6)
    trainer.train()
    assert trainer.store.steps() == [2, 5, 6]


def test_what_is_due_in_doubt_is_written_after_the_next_good_update(make_trainer, paint, delicate):
    saves = Saves()
    hooks = [CheckpointHook(every=2), saves, paint(0, 1, 2)]  # the updates that end at 2 and 3
    make_trainer(hooks, 5, loss=delicate).train()
    assert saves.at == [4, 5]


def test_the_last_step_is_saved_even_in_doubt(make_trainer, paint, delicate):
    trainer = make_trainer([CheckpointHook(every=2), paint(0, 4)], 5, loss=delicate)
    trainer.train()
    assert trainer.store.steps() == [2, 4, 5]
    assert trainer.in_doubt


def test_an_error_saves_nothing(make_trainer):
    class Fails(Hook):
        def after_step(self, trainer, out):
            if trainer.step == 3:
                raise ValueError("boom")

    trainer = make_trainer([CheckpointHook(every=2), Fails()], 9)
    with pytest.raises(ValueError, match="boom"):
        trainer.train()
    assert trainer.store.steps() == [2]


def test_at_least_one_is_kept():
    with pytest.raises(RecipeError, match=r"^hooks\.checkpoint\.keep = 0 must be 1 or more\.$"):
        CheckpointHook(keep=0)
