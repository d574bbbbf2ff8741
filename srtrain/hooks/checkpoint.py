"""Save checkpoints: periodically, at the end, and before a requested stop."""

from __future__ import annotations

from srtrain.errors import RecipeError
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import SAVE, Hook


@HOOKS.register("checkpoint")
class CheckpointHook(Hook):
    """Writes a checkpoint every ``every`` steps and keeps the newest ``keep`` of them.

    Checkpoints that ``latest`` or ``best`` names are never deleted. After a bad update the weights are suspect, so a
    checkpoint that is due waits for the next good update. At the end of a run it is written in any case.

    Args:
        every: period in steps.
        keep: number of checkpoints to keep, 1 or more.
    """

    order = SAVE  # after all state is complete, before an evaluation can fail

    def __init__(self, every: int = 1000, keep: int = 3) -> None:
        if keep < 1:
            raise RecipeError(f"hooks.checkpoint.keep = {keep!r} must be 1 or more.")
        self.every = every
        self.keep = keep
        self._owed = False

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Save if a checkpoint is due, and after the last step."""
        self._owed = self._owed or trainer.due(self.every)
        if trainer.finished or (self._owed and not trainer.in_doubt):
            self._save(trainer)

    def after_train(self, trainer: TrainerApi) -> None:
        """Save the steps since the last checkpoint after a requested stop."""
        self._save(trainer)

    def _save(self, trainer: TrainerApi) -> None:
        self._owed = False
        trainer.save()
        trainer.store.prune(self.keep)
