"""Report skipped updates, roll back to a good checkpoint, and end a run that keeps diverging."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from srtrain.errors import RecipeError, TrainingDivergedError, counted
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.guard import GuardCounts
from srtrain.trainer.hook import STATE, Hook


@HOOKS.register("nan_guard")
class NanGuardHook(Hook):
    """Reports skipped updates, and rolls back after ``patience`` bad updates in a row.

    The compiled update skips bad updates itself (see ``TrainStep`` and ``optim.skip_above``). Reading its counts waits
    for the device, so this hook reads them every ``every`` steps only. After ``patience`` bad updates in a row the
    weights are at fault and not a batch. The hook then loads weights, optimizer and the hooks' state, such as averages,
    from the newest checkpoint, and from the one before if the newest proves bad as well.

    A rollback does not turn back ``trainer.step``. Training is a pure function of state, seed and step: the same
    weights with the same pictures would diverge again, bit for bit. As the step goes on, other pictures come next.

    Overflows under loss scaling are not counted here; see ``loss_scale``.

    Args:
        every: period in steps.
        patience: bad updates in a row before a rollback.
        max_rollbacks: rollbacks in a run before it ends with an error.
    """

    order = STATE
    state_key = "nan_guard"

    def __init__(self, every: int = 20, patience: int = 10, max_rollbacks: int = 3) -> None:
        if patience < 1:
            raise RecipeError(f"hooks.nan_guard.patience = {patience!r} must be 1 or more updates.")
        if max_rollbacks < 0:
            raise RecipeError(f"hooks.nan_guard.max_rollbacks = {max_rollbacks!r} must be 0 or more.")
        self.every = every
        self.patience = patience
        self.max_rollbacks = max_rollbacks
        self._rollbacks = 0
        self._went_to = -1  # step of the checkpoint that the last rollback took
        self._accepted_there = -1
        self._n_bad = 0

    def before_train(self, trainer: TrainerApi) -> None:
        """Start from the counts of a resumed run, so that its skipped updates are not reported again."""
        self._n_bad = trainer.counts.n_bad

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Read the counts; report, roll back or end the run.

        Raises:
            TrainingDivergedError: there is no checkpoint to go back to, or rollbacks did not help.
        """
        if not (trainer.due(self.every) or trainer.log_due):
            return
        counts = trainer.counts
        if counts.n_bad > self._n_bad:
            trainer.log.warning(f"step {trainer.step}: {_skipped(counts, counts.n_bad - self._n_bad)}")
            self._n_bad = counts.n_bad
        if counts.n_bad_in_a_row >= self.patience:
            self._roll_back(trainer, counts)
        if counts.n_bad:
            trainer.log.put(skipped_steps=counts.n_skipped, rollbacks=self._rollbacks)

    def _roll_back(self, trainer: TrainerApi, counts: GuardCounts) -> None:
        skipped = counted(counts.n_bad_in_a_row, "update")
        end = f"{skipped} in a row {'was' if counts.n_bad_in_a_row == 1 else 'were'} skipped up to step {trainer.step}"
        end += f", the last with a loss of {counts.last_bad_loss:g}"
        if self._rollbacks >= self.max_rollbacks:
            tried = f", after {counted(self._rollbacks, 'rollback')}" if self._rollbacks else ""
            raise TrainingDivergedError(f"{end}{tried}. {trainer.diverged_advice()}")
        good = self._newest_good(trainer, counts)
        if good is None:
            raise TrainingDivergedError(
                f"{end}, and no checkpoint is left to go back to. {trainer.diverged_advice()}"
            )
        n_rollbacks = self._rollbacks + 1
        trainer.roll_back(good)  # restores this hook's own state too
        self._rollbacks = n_rollbacks
        self._went_to = int(good.name.removeprefix("step_"))
        self._accepted_there = trainer.counts.n_accepted
        trainer.log.warning(
            f"{end}: rolled back to {good.name} (rollback {n_rollbacks} of {self.max_rollbacks}); training continues "
            f"at step {trainer.step} with other pictures"
        )

    def _newest_good(self, trainer: TrainerApi, counts: GuardCounts) -> Path | None:
        """Return the newest checkpoint, or one before it if the last rollback led to no good update."""
        steps = trainer.store.steps()
        if counts.n_accepted == self._accepted_there:
            steps = [step for step in steps if step < self._went_to]
        return trainer.store.path(steps[-1]) if steps else None

    def state_dict(self) -> dict[str, Any]:
        """Return the number of rollbacks, and the checkpoint and count of the last one."""
        return {
            "rollbacks": self._rollbacks,
            "went_to": self._went_to,
            "accepted_there": self._accepted_there,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the counts."""
        self._rollbacks = int(state["rollbacks"])
        self._went_to = int(state["went_to"])
        self._accepted_there = int(state["accepted_there"])


def _skipped(counts: GuardCounts, n_new: int) -> str:
    """Return a sentence with how many updates were skipped and why."""
    loss = counts.last_bad_loss
    mean = f", where the running mean is {counts.mean_loss:g}" if counts.n_accepted else ""
    what = f"{counted(n_new, 'bad update')} {'was' if n_new == 1 else 'were'} skipped ({counts.n_bad} in all)"
    if not math.isfinite(loss):
        return f"{what}, the last one with a loss of {loss:g}{mean}"
    return f"{what}, the last one with a loss of {loss:g}{mean}, or with a gradient that was not finite"
