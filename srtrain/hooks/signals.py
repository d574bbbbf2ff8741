"""Ctrl-C and SIGTERM end a run after the present step, with a checkpoint."""

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
    """Turns the first signal into a request to stop; a second one ends the process at once.

    Of several processes all must stop after the same step, whichever got the signal. They ask each other
    about once every ``agree_seconds``, not each step; how many steps that is they agree on as well.
    """

    order = FIRST  # so that nothing of a step runs unprotected

    def __init__(self, agree_seconds: float = 1.0) -> None:
        self.agree_seconds = agree_seconds
        self._before: dict[int, Any] = {}
        self._received: int | None = None

    def setup(self, trainer: TrainerApi) -> None:
        """Take over both signals."""
        self._trainer = trainer
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._trainer.backend.world_size == 1:
            self._trainer.log.info(
                f"{name}: saving and stopping after the present step; once more stops at once"
            )
            self._trainer.request_stop(name)
            signal.signal(number, signal.SIG_DFL)
        elif self._received is None:
            self._received = number
            self._trainer.log.info(f"{name}: asking the other ranks to stop after the same step")

    def before_train(self, trainer: TrainerApi) -> None:
        """Start the clock that the periods are agreed by."""
        self._next, self._n_steps, self._since = trainer.step + 1, 1, time.monotonic()

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Agree with the other ranks whether to stop, when it is time."""
        if trainer.backend.world_size > 1 and trainer.step >= self._next:
            self._agree(trainer)

    def _agree(self, trainer: TrainerApi) -> None:
        seconds = (time.monotonic() - self._since) / self._n_steps
        proposed = min(MOST_STEPS, max(1, round(self.agree_seconds / max(seconds, 1e-6))))
        # Whole numbers, whose sum is the same on every rank in whatever order it is taken.
        mine = [*(float(self._received == number) for number in SIGNALS), float(proposed)]
        n_interrupts, n_terms, n_steps = trainer.backend.all_reduce_sum(np.array(mine))
        if n_interrupts or n_terms:
            trainer.request_stop("SIGINT" if n_interrupts else "SIGTERM")
        self._n_steps = int(n_steps) // trainer.backend.world_size
        self._next, self._since = trainer.step + self._n_steps, time.monotonic()

    def close(self, trainer: TrainerApi) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
