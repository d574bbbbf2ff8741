"""Log the loss scale of mixed precision, and stop a run whose gradients always overflow."""

from __future__ import annotations

from srtrain.errors import RecipeError, TrainingDivergedError, counted
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import STATE, Hook


@HOOKS.register("loss_scale")
class LossScaleHook(Hook):
    """Logs the loss scale and the skipped updates; does nothing if the loss is not scaled.

    Args:
        stop_after: the run ends if a logging step finds so many overflows in a row. A dynamic scale that starts at
            2^16 needs at most 16 overflows to fall to 1; after that, no scale can help.
    """

    order = STATE

    def __init__(self, stop_after: int = 30) -> None:
        if stop_after < 1:
            raise RecipeError(f"hooks.loss_scale.stop_after = {stop_after!r} must be 1 or more overflows.")
        self.stop_after = stop_after

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Log scale and counts at each logging step.

        Raises:
            TrainingDivergedError: ``stop_after`` updates in a row overflowed.
        """
        if trainer.precision.scaler is None or not trainer.log_due:
            return
        counts, scale = trainer.counts, trainer.precision.loss_scale()
        trainer.log.put(loss_scale=scale, skipped_steps=counts.n_skipped)
        if counts.n_overflows_in_a_row >= self.stop_after:
            raise TrainingDivergedError(
                f"step {trainer.step}: overflowing gradients skipped the last "
                f"{counted(counts.n_overflows_in_a_row, 'update')}; the loss scale is {scale:g}. "
                f"Lower it (precision.loss_scale=128, or dynamic), lower optim.lr, or train in float32 "
                f"(precision=float32)."
            )
