"""Ctrl-C and SIGTERM end a run after the present step, with a checkpoint."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from srtrain.hooks import base
from srtrain.hooks.base import Hook
from srtrain.registry import HOOKS
from srtrain.trainer.trainer import Trainer


@HOOKS.register("signals")
class SignalsHook(Hook):
    """Turns the first signal into a request to stop; a second one ends the process at once."""

    order = base.FIRST  # so that nothing of a step runs unprotected

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}

    def setup(self, trainer: Trainer) -> None:
        """Take over both signals."""
        self._trainer = trainer
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        self._trainer.log.info(f"{name}: saving and stopping after the present step; once more stops at once")
        self._trainer.request_stop(name)
        signal.signal(number, signal.SIG_DFL)

    def close(self, trainer: Trainer) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
