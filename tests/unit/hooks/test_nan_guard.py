"""A run whose loss is no number ends, and says what to try."""

import math

import pytest
from mindspore import amp

from srtrain.errors import TrainingDivergedError
from srtrain.hooks.nan_guard import NanGuardHook
from srtrain.trainer.precision import Precision


@pytest.mark.parametrize("every", [1, 4])
def test_a_diverged_run_is_stopped_at_the_next_look(make_trainer, every):
    trainer = make_trainer([NanGuardHook(every=every)], 20, lr=1e30)
    with pytest.raises(TrainingDivergedError) as caught:
        trainer.train()
    assert trainer.step % every == 0
    assert trainer.step <= 8
    loss = "nan" if "is nan" in str(caught.value) else "inf"
    assert str(caught.value) == (
        f"the loss is {loss} at step {trainer.step}. The last good checkpoint is not there yet; try a lower optim.lr, "
        "optim.clip_norm=0.5, or a smaller model.res_scale."
    )
    assert not math.isfinite(float(trainer._loss))


def test_the_last_good_checkpoint_is_named(make_trainer):
    trainer = make_trainer([NanGuardHook(every=1)], 20, lr=1e30)
    path = trainer.save()
    with pytest.raises(TrainingDivergedError) as caught:
        trainer.train()
    assert f"The last good checkpoint is {path}; try" in str(caught.value)


def test_a_run_that_is_well_goes_on(make_trainer):
    trainer = make_trainer([NanGuardHook(every=1)], 3)
    trainer.train()
    assert trainer.step == 3


def test_it_is_idle_under_loss_scaling(make_trainer):
    precision = Precision()
    precision.scaler = amp.StaticLossScaler(1.0)
    trainer = make_trainer([NanGuardHook(every=1)], 3, lr=1e30, precision=precision)
    trainer.train()
    assert trainer.step == 3
    assert not math.isfinite(float(trainer._loss))
