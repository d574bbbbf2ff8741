"""Set the learning rate of each step by a schedule."""

from __future__ import annotations

from srtrain.data.loader import Batch
from srtrain.errors import counted
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import STATE, Hook
from srtrain.trainer.schedules.warmup import Schedule


@HOOKS.register("lr", from_run=("schedule", "base_lr"))
class LrHook(Hook):
    """Sets the learning rate before a step if the schedule has changed it.

    Args:
        schedule: from the run: ``optim.schedule``.
        base_lr: from the run: ``optim.lr``.
    """

    order = STATE

    def __init__(self, schedule: Schedule, base_lr: float) -> None:
        self.schedule = schedule
        self.base_lr = base_lr
        self._lr = float("nan")

    def before_train(self, trainer: TrainerApi) -> None:
        """Say so if the run is so short that the learning rate only rises."""
        last = trainer.max_steps - 1
        if last > 0 and self.schedule(last - 1) < self.schedule(last) < 1:
            trainer.log.info(
                f"note: the warm-up is longer than the {counted(trainer.max_steps, 'update')} of this run, so the "
                f"learning rate only rises, to {self.base_lr * self.schedule(last):g}; shorten optim.schedule.warmup"
            )

    def before_step(self, trainer: TrainerApi, batch: Batch) -> None:
        """Set the learning rate of the coming update."""
        lr = self.base_lr * self.schedule(trainer.step)
        if lr != self._lr:
            trainer.set_lr(lr)
            self._lr = lr

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Log the learning rate of the update just done."""
        trainer.log.put(lr=self._lr)
