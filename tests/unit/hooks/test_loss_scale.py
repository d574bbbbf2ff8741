"""The loss scale is shown, and a run that only overflows ends."""

import pytest
from mindspore import amp

from srtrain.device.precision import Precision
from srtrain.errors import RecipeError, TrainingDivergedError
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.loss_scale import LossScaleHook


class Scaled(Precision):
    def __init__(self, scaler):
        super().__init__()
        self.scaler = scaler

    def loss_scale(self):
        return float(self.scaler.scale_value)


def test_it_is_idle_in_float32(make_trainer):
    trainer = make_trainer([LossScaleHook()], 2)
    trainer.train()
    assert "loss_scale" not in trainer.log.scalars


def test_scale_and_skipped_updates_are_among_the_numbers(make_trainer):
    trainer = make_trainer([LossScaleHook()], 3, precision=Scaled(amp.DynamicLossScaler(64.0, 2, 2)))
    trainer.train()
    assert trainer.log.scalars["loss_scale"] == 128
    assert trainer.log.scalars["skipped_steps"] == 0


def test_a_run_that_only_overflows_ends_at_the_next_look(make_trainer):
    precision = Scaled(amp.StaticLossScaler(3e38))
    trainer = make_trainer([LossScaleHook(stop_after=5)], 50, precision=precision, log_every=2)
    with pytest.raises(TrainingDivergedError) as caught:
        trainer.train()
    assert trainer.step == 6
    assert str(caught.value) == (
        "step 6: overflowing gradients skipped the last 6 updates; the loss scale is 3e+38. Lower it "
        "(precision.loss_scale=128, or dynamic), lower optim.lr, or train in float32 (precision=float32)."
    )


@pytest.mark.slow
def test_one_good_update_starts_the_count_anew(make_trainer):
    precision = Scaled(amp.DynamicLossScaler(2.0**127, 2, 1000))
    trainer = make_trainer([LossScaleHook(stop_after=20)], 14, precision=precision)
    trainer.train()
    skipped = trainer.log.scalars["skipped_steps"]
    assert 0 < skipped < 14
    assert trainer.log.scalars["loss_scale"] == 2.0**127 / 2**skipped
    assert trainer.update.guard.read().n_overflows_in_a_row == 0


def test_the_count_goes_on_after_a_resume(make_trainer):
    def scaled():
        return Scaled(amp.StaticLossScaler(3e38))

    first = make_trainer([LossScaleHook(stop_after=5), CheckpointHook()], 3, precision=scaled())
    first.train()
    second = make_trainer([LossScaleHook(stop_after=5)], 50, precision=scaled())
    with pytest.raises(
        TrainingDivergedError, match=r"^step 5: overflowing gradients skipped the last 5 updates"
    ):
        second.train(resume=first.store.latest())


def test_never_is_not_a_number_of_overflows():
    with pytest.raises(
        RecipeError, match=r"^hooks\.loss_scale\.stop_after = 0 must be 1 or more overflows\.$"
    ):
        LossScaleHook(stop_after=0)
