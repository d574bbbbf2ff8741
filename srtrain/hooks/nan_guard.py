"""Ends a run whose loss is no longer a number."""

from __future__ import annotations

import math

from srtrain.errors import TrainingDivergedError
from srtrain.hooks import base
from srtrain.hooks.base import Hook
from srtrain.registry import HOOKS
from srtrain.trainer.trainer import Trainer
from srtrain.trainer.types import StepOutput


@HOOKS.register("nan_guard")
class NanGuardHook(Hook):
    """Reads the loss every ``every`` steps and stops the run when it is not finite.

    Reading waits for the device, so it is not done each step; ``Trainer.save`` refuses to write a
    checkpoint after such a loss in any case. Idle under loss scaling, which skips overflows itself.
    """

    order = base.STATE

    def __init__(self, every: int = 20) -> None:
        self.every = every

    def after_step(self, trainer: Trainer, out: StepOutput) -> None:
        """Check the loss.

        Raises:
            TrainingDivergedError: says where the last good checkpoint is and what to try.
        """
        if trainer.precision.scaler is not None or not trainer.due(self.every):
            return
        if not math.isfinite(loss := float(out.loss)):
            good = trainer.store.latest()
            raise TrainingDivergedError(
                f"the loss is {loss} at step {trainer.step}. The last good checkpoint is {good or 'not there yet'}; "
                f"try a lower optim.lr, optim.clip_norm=0.5, or a smaller model.res_scale."
            )
