"""Watches the updates that were skipped, goes back to a good checkpoint, and ends a run that is lost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from srtrain.errors import RecipeError, TrainingDivergedError
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.guard import GuardCounts
from srtrain.trainer.hook import STATE, Hook


@HOOKS.register("nan_guard")
class NanGuardHook(Hook):
    """Says how many bad updates were skipped, and rolls back where there is nothing else to be had.

    The compiled update skips what is bad by itself (``TrainStep``, ``optim.skip_above``); reading its counts
    waits for the device, so it is done every ``every`` steps only. When ``patience`` or more updates in a row
    were bad, no batch is to blame but the weights: then weights, optimizer and the hooks' state (averages, for
    one) are taken from the newest checkpoint, and from the one before if that one proves bad as well.

    The clock ``trainer.step`` is not turned back. All that happens here is a pure function of the state, the
    seed and the step, so the same weights on the same pictures would end the same way, bit for bit; with the
    clock going on, other pictures come next.

    Overflows under loss scaling are the business of ``loss_scale``, and not counted here.

    Args:
        patience: bad updates in a row.
        max_rollbacks: how many are tried in a run before it ends.
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
        """Begin to count where a resumed run stands."""
        self._n_bad = trainer.counts.n_bad

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Look at the counts.

        Raises:
            TrainingDivergedError: there is no checkpoint to go back to, or going back did not help.
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
        end = (
            f"{counts.n_bad_in_a_row} updates in a row were skipped up to step {trainer.step}, the last with "
        )
        end += f"a loss of {counts.last_bad_loss:g}"
        if self._rollbacks >= self.max_rollbacks:
            tried = f", after {self._rollbacks} rollback(s)" if self._rollbacks else ""
            raise TrainingDivergedError(f"{end}{tried}. {trainer.diverged_advice()}")
        good = self._newest_good(trainer, counts)
        if good is None:
            raise TrainingDivergedError(
                f"{end}, and no checkpoint is left to go back to. {trainer.diverged_advice()}"
            )
        n_rollbacks = self._rollbacks + 1
        trainer.roll_back(good)  # this hook's own state too
        self._rollbacks = n_rollbacks
        self._went_to = int(good.name.removeprefix("step_"))
        self._accepted_there = trainer.counts.n_accepted
        trainer.log.warning(
            f"{end}: back to the weights of {good.name} (rollback {n_rollbacks} of {self.max_rollbacks}); step "
            f"{trainer.step} goes on with other pictures"
        )

    def _newest_good(self, trainer: TrainerApi, counts: GuardCounts) -> Path | None:
        """Return the newest checkpoint; where the last rollback led to no good update, one before it."""
        steps = trainer.store.steps()
        if counts.n_accepted == self._accepted_there:
            steps = [step for step in steps if step < self._went_to]
        return trainer.store.path(steps[-1]) if steps else None

    def state_dict(self) -> dict[str, Any]:
        """Return how often this run went back, and how the last time turned out."""
        return {
            "rollbacks": self._rollbacks,
            "went_to": self._went_to,
            "accepted_there": self._accepted_there,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting."""
        self._rollbacks = int(state["rollbacks"])
        self._went_to = int(state["went_to"])
        self._accepted_there = int(state["accepted_there"])


def _skipped(counts: GuardCounts, n_new: int) -> str:
    """Return how many updates were skipped and why, in words."""
    loss = counts.last_bad_loss
    mean = f", where the running mean is {counts.mean_loss:g}" if counts.n_accepted else ""
    what = f"{n_new} bad update{'s were' if n_new > 1 else ' was'} skipped ({counts.n_bad} in all)"
    if not math.isfinite(loss):
        return f"{what}, the last one with a loss of {loss:g}{mean}"
    return f"{what}, the last one with a loss of {loss:g}{mean}, or with a gradient that was not finite"
