"""SIGTERM ends a run after the current step with a checkpoint. For Ctrl-C see tests/integration/test_run.py."""

import os
import signal

import pytest

from srtrain.hooks import Hook
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.signals import SignalsHook


class Send(Hook):
    """Sends this process a real signal."""

    second = None

    def after_step(self, trainer, out):
        if trainer.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            self.second = signal.getsignal(signal.SIGTERM)


def test_a_signal_stops_after_the_step_and_saves(make_trainer):
    before = signal.getsignal(signal.SIGTERM)
    send = Send()
    trainer = make_trainer([SignalsHook(), CheckpointHook(every=100), send], 9)
    trainer.train()
    assert trainer.step == 2
    assert trainer.stop_reason == "SIGTERM"
    assert trainer.store.steps() == [2]
    assert send.second is signal.SIG_DFL  # once more ends the process at once
    assert signal.getsignal(signal.SIGTERM) is before
    assert (
        "SIGTERM: stopping after the present step, with a checkpoint"
        in (trainer.run_dir / "run.log").read_text()
    )


def test_the_handlers_are_given_back_after_an_error(make_trainer):
    class Fails(Hook):
        def after_step(self, trainer, out):
            raise ValueError("boom")

    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(ValueError, match="boom"):
        make_trainer([SignalsHook(), Fails()]).train()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
