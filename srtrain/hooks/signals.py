"""On Ctrl-C or SIGTERM, save a checkpoint and stop after the present step."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

import numpy as np

from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import FIRST, Hook

SIGNALS = (signal.SIGINT, signal.SIGTERM)
MOST_STEPS = 1000


@HOOKS.register("signals")
class SignalsHook(Hook):
    """Stops the run after the present step on the first signal; a second signal ends the process at once.

    Several processes must stop after the same step, whichever received the signal. They ask each other about every
    ``agree_seconds`` instead of at each step, and they agree on how many steps that is.

    Args:
        agree_seconds: time between two questions to the other processes.
    """

    order = FIRST  # before any other hook runs

    def __init__(self, agree_seconds: float = 1.0) -> None:
        self.agree_seconds = agree_seconds
        self._before: dict[int, Any] = {}
        self._received: int | None = None

    def setup(self, trainer: TrainerApi) -> None:
        """Install the handler for both signals."""
        self._trainer = trainer
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._trainer.backend.world_size == 1:
            self._trainer.log.info(
                f"{name}: stopping after the present step, with a checkpoint; a second signal stops at once"
            )
            self._trainer.request_stop(name)
            signal.signal(number, signal.SIG_DFL)
        elif self._received is None:
            self._received = number
            self._trainer.log.info(f"{name}: asking the other ranks to stop after the same step")

    def before_train(self, trainer: TrainerApi) -> None:
        """Start to measure the time of a step."""
        self._next, self._n_steps, self._since = trainer.step + 1, 1, time.monotonic()

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Agree with the other ranks whether to stop, if it is due."""
        if trainer.backend.world_size > 1 and trainer.step >= self._next:
            self._agree(trainer)

    def _agree(self, trainer: TrainerApi) -> None:
        seconds = (time.monotonic() - self._since) / self._n_steps
        proposed = min(MOST_STEPS, max(1, round(self.agree_seconds / max(seconds, 1e-6))))
        # Whole numbers: their sum is the same on every rank, whatever the order of addition.
        mine = [*(float(self._received == number) for number in SIGNALS), float(proposed)]
        n_interrupts, n_terms, n_steps = trainer.backend.all_reduce_sum(np.array(mine))
        if n_interrupts or n_terms:
            trainer.request_stop("SIGINT" if n_interrupts else "SIGTERM")
        self._n_steps = int(n_steps) // trainer.backend.world_size
        self._next, self._since = trainer.step + self._n_steps, time.monotonic()

    def close(self, trainer: TrainerApi) -> None:
        """Restore the previous handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
