"""Watches the loss scale of mixed precision."""

from __future__ import annotations

from typing import Any

from srtrain.errors import TrainingDivergedError
from srtrain.hooks import base
from srtrain.hooks.base import Hook
from srtrain.registry import HOOKS
from srtrain.trainer.trainer import Trainer
from srtrain.trainer.types import StepOutput


@HOOKS.register("loss_scale")
class LossScaleHook(Hook):
    """Puts the loss scale and the skipped updates among the numbers; idle where nothing is scaled.

    Args:
        stop_after: logging periods in a row without one successful update that end the run.
    """

    order = base.STATE
    state_key = "loss_scale"

    def __init__(self, stop_after: int = 3) -> None:
        self.stop_after = stop_after
        self._skipped = 0
        self._step = 0
        self._fruitless = 0

    def before_train(self, trainer: Trainer) -> None:
        """Begin to count where a resumed run stands."""
        self._step = trainer.step
        self._skipped = int(trainer.update.skipped.asnumpy())

    def after_step(self, trainer: Trainer, out: StepOutput) -> None:
        """Read scale and counter at each logging step.

        Raises:
            TrainingDivergedError: no update succeeded for ``stop_after`` periods.
        """
        if trainer.precision.scaler is None or not trainer.due(trainer.log.every):
            return
        skipped, scale = int(trainer.update.skipped.asnumpy()), trainer.precision.loss_scale()
        trainer.log.put(loss_scale=scale, skipped_steps=skipped)
        n_steps = trainer.step - self._step
        self._fruitless = self._fruitless + 1 if skipped - self._skipped >= n_steps > 0 else 0
        self._skipped, self._step = skipped, trainer.step
        if self._fruitless >= self.stop_after:
            raise TrainingDivergedError(
                f"every update since step {trainer.step - self._fruitless * n_steps} overflowed and was skipped; "
                f"the loss scale is {scale:g}. Lower it (precision.loss_scale=), lower optim.lr, or train in "
                f"float32 (precision=float32)."
            )

    def state_dict(self) -> dict[str, Any]:
        """Return how many fruitless periods there were in a row."""
        return {"fruitless": self._fruitless}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting."""
        self._fruitless = int(state["fruitless"])
