"""Saves the run every so often, at its end, and when it is asked to stop."""

from __future__ import annotations

from srtrain.errors import RecipeError
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import SAVE, Hook


@HOOKS.register("checkpoint")
class CheckpointHook(Hook):
    """Writes a checkpoint every ``every`` steps and keeps the newest ``keep`` of them.

    What ``latest`` or ``best`` names is never deleted. Right after a bad update the weights are in doubt, and a
    checkpoint that is due waits for the next good one; at the end of a run it is written all the same.
    """

    order = SAVE  # after everything that is state, before evaluation may fail

    def __init__(self, every: int = 1000, keep: int = 3) -> None:
        if keep < 1:
            raise RecipeError(f"hooks.checkpoint.keep = {keep!r} must be 1 or more.")
        self.every = every
        self.keep = keep
        self._owed = False

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Save when it is time, and with the last step."""
        self._owed = self._owed or trainer.due(self.every)
        if trainer.finished or (self._owed and not trainer.in_doubt):
            self._save(trainer)

    def after_train(self, trainer: TrainerApi) -> None:
        """Save what a requested stop would lose."""
        self._save(trainer)

    def _save(self, trainer: TrainerApi) -> None:
        self._owed = False
        trainer.save()
        trainer.store.prune(self.keep)
