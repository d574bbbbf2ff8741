"""Bad updates are counted and reported, a diverged run is rolled back, and a hopeless one ends with advice."""

import numpy as np
import pytest
from mindspore import amp

from srtrain.device.precision import Precision
from srtrain.errors import CheckpointError, RecipeError, TrainingDivergedError
from srtrain.hooks import FIRST, LAST, Hook
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.ema import EmaHook
from srtrain.hooks.lr import LrHook
from srtrain.hooks.nan_guard import NanGuardHook
from srtrain.models.parameters import put


class Ruins(Hook):
    """Damages a weight after the given steps, as a bug or a broken device would. Every later loss is NaN."""

    order = LAST  # after the checkpoint of that step

    def __init__(self, *steps):
        self.steps = steps

    def after_step(self, trainer, out):
        if trainer.step in self.steps:
            put(trainer.model.tail.bias, np.full(3, np.nan, np.float32))


class Watch(Hook):
    """Records what a rollback changes, at the beginning of each step."""

    order = FIRST

    def __init__(self, weights_of):
        self.weights_of = weights_of
        self.before = {}
        self.batches = {}

    def before_step(self, trainer, batch):
        self.before[trainer.step] = self.weights_of(trainer.model)
        self.batches[trainer.step] = batch.lq.copy()


def log_of(trainer):
    return (trainer.run_dir / "run.log").read_text()


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_a_run_that_is_well_says_nothing(make_trainer):
    trainer = make_trainer([NanGuardHook(every=1)], 3)
    trainer.train()
    assert trainer.step == 3
    assert "skipped" not in log_of(trainer)
    assert "skipped_steps" not in trainer.log.scalars


@pytest.mark.slow
def test_a_lost_run_goes_back_to_its_checkpoint_and_on_with_other_pictures(make_trainer, weights_of):
    watch = Watch(weights_of)
    hooks = [watch, NanGuardHook(every=2, patience=3), CheckpointHook(every=2), Ruins(5)]
    trainer = make_trainer(hooks, 12, lr=0.01)
    trainer.train()
    # Spoilt after step 5; updates 6, 7 and 8 are skipped; at 8 that is seen, and the weights of 4 are back.
    assert np.isnan(watch.before[6]["tail.bias"]).all()
    assert same(watch.before[8], watch.before[4])
    assert not np.array_equal(watch.batches[8], watch.batches[4])
    assert trainer.step == 12
    assert not same(weights_of(trainer.model), watch.before[8])
    counts = trainer.update.guard.read()
    assert (counts.n_bad, counts.n_bad_in_a_row) == (3, 0)
    assert counts.n_accepted == 4 + 4  # those before the checkpoint, and steps 9 to 12
    assert trainer.store.steps() == [8, 10, 12]  # 6 was due in doubt; 2 and 4 were pruned
    assert trainer.log.scalars["skipped_steps"] == 3
    assert trainer.log.scalars["rollbacks"] == 1
    log = log_of(trainer)
    assert (
        "warning: step 6: 1 bad update was skipped (1 in all), the last one with a loss of nan, where the"
        in log
    )
    assert (
        "3 updates in a row were skipped up to step 8, the last with a loss of nan: rolled back to step_00000004 "
        "(rollback 1 of 3); training continues at step 8 with other pictures"
    ) in log


@pytest.mark.slow
def test_averages_go_back_with_the_weights_and_the_rate_does_not(make_trainer):
    rates, averages = {}, {}

    class Notes(Hook):
        order = FIRST

        def before_step(self, trainer, batch):
            averages[trainer.step] = {name: t.asnumpy() for name, t in ema.state_dict().items()}

    class Rates(Hook):
        order = LAST

        def before_step(self, trainer, batch):
            rates[trainer.step] = trainer.lr

    ema = EmaHook(0.5)
    # The averages run before the guard here: nothing is added to them in the step that goes back.
    hooks = [ema, NanGuardHook(every=1, patience=2), LrHook(lambda step: 1 / (1 + step // 6), 0.01)]
    trainer = make_trainer([*hooks, Notes(), Rates(), CheckpointHook(every=3), Ruins(4)], 8)
    trainer.train()
    assert np.isnan(averages[5]["tail.bias"]).all()
    assert same(averages[6], averages[3])
    assert [rates[step] for step in (3, 5, 6, 7)] == pytest.approx([0.01, 0.01, 0.005, 0.005])


@pytest.mark.slow
def test_a_checkpoint_that_proves_bad_is_passed_over_for_the_one_before(make_trainer, weights_of):
    class RuinsTheCheckpoint(Hook):
        """Makes the weights of a checkpoint huge but finite, so that the checkpoint looks correct."""

        def after_step(self, trainer, out):
            if trainer.step == 4:
                put(trainer.model.tail.bias, np.full(3, 3e38, np.float32))

    watch = Watch(weights_of)
    hooks = [watch, RuinsTheCheckpoint(), NanGuardHook(every=1, patience=2), CheckpointHook(every=2, keep=9)]
    hooks[1].order = FIRST  # before the checkpoint of that step
    trainer = make_trainer(hooks, 12)
    trainer.train()
    assert same(watch.before[6], watch.before[4])
    assert same(watch.before[8], watch.before[2])
    assert "rolled back to step_00000004 (rollback 1 of 3)" in log_of(trainer)
    assert "rolled back to step_00000002 (rollback 2 of 3)" in log_of(trainer)
    assert trainer.update.guard.read().n_bad_in_a_row == 0


@pytest.mark.slow
def test_after_so_many_rollbacks_the_run_ends_with_advice(make_trainer):
    hooks = [NanGuardHook(every=1, patience=2, max_rollbacks=2), CheckpointHook(every=2, keep=9)]
    trainer = make_trainer([*hooks, Ruins(2, 6, 10)], 99)
    with pytest.raises(TrainingDivergedError) as caught:
        trainer.train()
    assert trainer.step == 12
    good = trainer.store.path(10)
    assert str(caught.value) == (
        "2 updates in a row were skipped up to step 12, the last with a loss of nan, after 2 rollbacks. The last "
        f"good checkpoint is {good}; try a lower optim.lr, optim.clip_norm=0.5, or a smaller model.res_scale."
    )
    for step in trainer.store.steps():
        saved = trainer.store.load(trainer.store.path(step)).tensors["model"]
        assert all(np.isfinite(value.asnumpy()).all() for value in saved.values())


@pytest.mark.parametrize("every", [1, 4])
def test_without_a_checkpoint_a_diverged_run_ends_at_the_next_look(make_trainer, every):
    trainer = make_trainer([NanGuardHook(every=every, patience=2)], 40, lr=1e30, log_every=4)
    with pytest.raises(TrainingDivergedError) as caught:
        trainer.train()
    assert trainer.step % every == 0
    assert trainer.step <= 8
    assert "updates in a row were skipped up to step" in str(caught.value)
    assert str(caught.value).endswith(
        "and no checkpoint is left to go back to. The last good checkpoint is not there yet; try a lower optim.lr, "
        "optim.clip_norm=0.5, or a smaller model.res_scale."
    )


def test_overflows_under_loss_scaling_are_not_its_business(make_trainer):
    precision = Precision()
    precision.scaler = amp.StaticLossScaler(3e38)
    trainer = make_trainer([NanGuardHook(every=1, patience=2)], 6, precision=precision)
    trainer.train()
    assert trainer.update.guard.read().n_overflows == 6
    assert "warning" not in log_of(trainer)


@pytest.mark.slow
def test_it_knows_after_a_resume_how_often_the_run_went_back(make_trainer):
    hooks = [NanGuardHook(every=1, patience=2, max_rollbacks=1), CheckpointHook(every=2), Ruins(3)]
    first = make_trainer(hooks, 8)
    first.train()
    hooks = [NanGuardHook(every=1, patience=2, max_rollbacks=1), CheckpointHook(every=2), Ruins(9)]
    second = make_trainer(hooks, 99)
    with pytest.raises(TrainingDivergedError, match=r"up to step 11, .* after 1 rollback\. "):
        second.train(resume=first.store.latest())
    assert log_of(second).count("2 bad updates were") == 0  # those before the resume are not told again


def test_a_broken_checkpoint_says_so_instead_of_being_taken(make_trainer):
    class Breaks(Hook):
        def after_step(self, trainer, out):
            if trainer.step == 3:
                file = trainer.store.path(2) / "model.ckpt"
                file.write_bytes(file.read_bytes()[:-40])

    hooks = [NanGuardHook(every=1, patience=2), CheckpointHook(every=2), Breaks(), Ruins(3)]
    trainer = make_trainer(hooks, 9)
    with pytest.raises(CheckpointError, match=r"step_00000002/model\.ckpt' is broken"):
        trainer.train()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"patience": 0}, "hooks.nan_guard.patience = 0 must be 1 or more updates."),
        ({"max_rollbacks": -1}, "hooks.nan_guard.max_rollbacks = -1 must be 0 or more."),
    ],
)
def test_impossible_numbers_are_refused(wrong, message):
    with pytest.raises(RecipeError) as caught:
        NanGuardHook(**wrong)
    assert str(caught.value) == message
