"""Measure pictures per second, the share of time spent waiting for data, time left and memory."""

from __future__ import annotations

import time

import srtrain
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import FIRST, Hook


@HOOKS.register("timing")
class TimingHook(Hook):
    """Measures the loop between two logging steps, without the time for evaluating and saving.

    Args:
        data_warning: if more than this share of the time is spent waiting for data, the log says what to do, once.
    """

    order = FIRST  # sees the end of a step before other hooks spend time on it

    def __init__(self, data_warning: float = 0.2) -> None:
        self.data_warning = data_warning
        self._warned = False

    def before_train(self, trainer: TrainerApi) -> None:
        """Start the first measurement."""
        self._first_step = trainer.step
        self._restart(trainer)

    def _restart(self, trainer: TrainerApi) -> None:
        self._step, self._data_seconds = trainer.step, trainer.data_seconds
        self._started = time.perf_counter()
        self._paused_seconds = trainer.paused_seconds

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Log the numbers since the last logging step."""
        if trainer.step == self._first_step + out.n_steps:
            float(out.loss)  # waits for the device, so that the time includes compiling
            seconds = time.perf_counter() - srtrain.STARTED
            trainer.log.info(f"first update done {seconds:.1f} s after start-up, including compilation")
            self._restart(trainer)  # the speed excludes compiling
            return
        if not trainer.log_due or trainer.step == self._step:
            return
        seconds = time.perf_counter() - self._started - (trainer.paused_seconds - self._paused_seconds)
        n_steps = trainer.step - self._step
        waiting = (trainer.data_seconds - self._data_seconds) / seconds
        trainer.log.put(
            pictures_per_second=n_steps * out.n_pictures / seconds,
            data_wait=waiting,
            eta_seconds=(trainer.max_steps - trainer.step) * seconds / n_steps,
            peak_memory_gb=trainer.backend.peak_memory_bytes() / 2**30,
        )
        if waiting > self.data_warning and not self._warned:
            self._warned = True
            trainer.log.warning(
                f"{waiting:.0%} of the time is spent waiting for pictures. Try data.cache=memory (or mmap) and more "
                f"data.workers."
            )
        self._restart(trainer)
