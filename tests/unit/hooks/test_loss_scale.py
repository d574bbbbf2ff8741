"""The loss scale is shown, and a run that only overflows ends."""

import pytest
from mindspore import amp

from srtrain.errors import TrainingDivergedError
from srtrain.hooks.loss_scale import LossScaleHook
from srtrain.trainer.precision import Precision


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


def test_a_run_that_only_overflows_ends_after_some_logging_periods(make_trainer):
    precision = Scaled(amp.StaticLossScaler(3e38))
    trainer = make_trainer([LossScaleHook(stop_after=3)], 50, precision=precision, log_every=2)
    with pytest.raises(TrainingDivergedError) as caught:
        trainer.train()
    assert trainer.step == 6
    assert str(caught.value).startswith(
        "every update since step 0 overflowed and was skipped; the loss scale is 3e+38. Lower it "
        "(precision.loss_scale=), lower optim.lr, or train in float32 (precision=float32)."
    )


def test_one_good_update_starts_the_count_anew(make_trainer):
    precision = Scaled(amp.DynamicLossScaler(2.0**127, 2, 1000))
    trainer = make_trainer([LossScaleHook(stop_after=20)], 14, precision=precision)
    trainer.train()
    skipped = trainer.log.scalars["skipped_steps"]
    assert 0 < skipped < 14
    assert trainer.log.scalars["loss_scale"] == 2.0**127 / 2**skipped
    assert trainer.hooks[0].state_dict() == {"fruitless": 0}


def test_the_count_goes_on_after_a_resume():
    hook = LossScaleHook()
    hook.load_state_dict({"fruitless": 2})
    assert hook.state_dict() == {"fruitless": 2}
