"""Save, restore and roll back the state of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from srtrain.device.backend import Backend
from srtrain.errors import CheckpointError, SrtrainError, TrainingDivergedError, first_line
from srtrain.trainer.checkpoint import Checkpoint, CheckpointStore, assign
from srtrain.trainer.guard import HOPELESS
from srtrain.trainer.hook import SAVE, Hook
from srtrain.trainer.update import Update


class RunState:
    """Everything an exact resume needs: the model, the update beside it, and what the hooks keep.

    Args:
        hooks: in their order.
        advice: what to try when training diverges; part of the error.
    """

    def __init__(
        self,
        model: nn.Cell,
        update: Update,
        hooks: Sequence[Hook],
        store: CheckpointStore,
        backend: Backend,
        advice: str = "",
    ) -> None:
        self.model = model
        self.update = update
        self.hooks = hooks
        self.store = store
        self.backend = backend
        self.advice = advice

    def save(self, step: int, more: dict[str, Any] | None = None) -> Path:
        """Write a checkpoint, wait until all ranks are here, and return its folder.

        Args:
            step: number of finished updates.
            more: further JSON values for the checkpoint.

        Raises:
            TrainingDivergedError: a weight or a moment is not finite, or every update is skipped: this state
                is not worth keeping.
            SrtrainError: the disk is full or not writable, or the run folder has disappeared.
        """
        if not self.store.folder.parent.is_dir():
            raise SrtrainError(
                f"the run folder {str(self.store.folder.parent)!r} has disappeared, so step {step} cannot be saved. If "
                f"it was moved, continue it with srtrain run NEW_PLACE --resume."
            )
        if fault := self._fault():
            raise TrainingDivergedError(
                f"{fault}: the state of step {step} is not saved. {self.diverged_advice()}"
            )
        held, values = self._of_hooks()
        tensors: dict[str, dict[str, ms.Tensor]] = {
            "model": dict(self.model.parameters_dict()),
            "optimizer": dict(self.update.state()),
            **held,
        }
        path = self.store.save(step, tensors, {"hooks": values, **(more or {})})
        self.backend.barrier()
        return path

    def settle(self, step: int, more: dict[str, Any]) -> None:
        """Record in the checkpoint of ``step`` what the hooks keep after it, so that a resume repeats none of them.

        This is not possible if a hook that comes after the checkpoint keeps tensors. A resume then repeats the hooks of
        that step.

        Args:
            step: number of finished updates; there is a checkpoint of it.
            more: further JSON values, in place of those in the checkpoint.
        """
        tensors, values = self._of_hooks()
        if not any(hook.order >= SAVE and hook.state_key in tensors for hook in self.hooks):
            self.store.amend(step, hooks=values, **more)

    def restore(self, path: Path) -> Checkpoint:
        """Load everything from a checkpoint, and return it.

        Raises:
            CheckpointError: the checkpoint is missing, broken or does not fit, or other ranks read another one.
        """
        checkpoint = self.store.load(path)
        steps = self.backend.gather(np.array([float(checkpoint.step)]))
        if (steps != checkpoint.step).any():
            others = ", ".join(f"{step:.0f}" for step in np.unique(steps) if step != checkpoint.step)
            raise CheckpointError(
                f"the ranks would resume from different checkpoints: {path} has {checkpoint.step} updates, and others "
                f"{others}. Keep the run folder on a disk that all machines share, or resume from one named "
                f"checkpoint."
            )
        self._take(checkpoint)
        return checkpoint

    def roll_back(self, path: Path) -> None:
        """Load everything but the learning rate and the totals of skipped updates.

        Raises:
            CheckpointError: the checkpoint is missing, broken or does not fit.
        """
        self.backend.barrier()
        lr, counts = self.update.lr, self.update.guard.read()
        self._take(self.store.load(path))
        self.update.set_lr(lr)
        self.update.guard.start_anew(counts)

    def diverged_advice(self) -> str:
        """Return which checkpoint is the newest, and the advice."""
        newest = f"The last good checkpoint is {self.store.latest() or 'not there yet'}"
        return f"{newest}; {self.advice}." if self.advice else f"{newest}."

    def _of_hooks(self) -> tuple[dict[str, dict[str, ms.Tensor]], dict[str, dict[str, Any]]]:
        """Return the tensors and the JSON values that the hooks keep, by hook."""
        tensors: dict[str, dict[str, ms.Tensor]] = {}
        values: dict[str, dict[str, Any]] = {}
        for hook in self.hooks:
            state = hook.state_dict()
            held = {name: value for name, value in state.items() if isinstance(value, ms.Tensor)}
            if held:
                tensors[hook.state_key] = held
            if state:
                values[hook.state_key] = {name: value for name, value in state.items() if name not in held}
        return tensors, values

    def _take(self, checkpoint: Checkpoint) -> None:
        path, tensors = checkpoint.path, checkpoint.tensors
        if missing := [group for group in ("model", "optimizer") if group not in tensors]:
            raise CheckpointError(
                f"{str(path)!r} cannot be resumed: it has no {' and no '.join(missing)}. To start a new run from its "
                f"weights, use init_from={path}."
            )
        assign(self.model.parameters_dict(), tensors["model"], f"the model in {path}")
        assign(self.update.state(), tensors["optimizer"], f"the optimizer in {path}")
        for hook in self.hooks:
            state = checkpoint.state.get("hooks", {}).get(hook.state_key)
            if state is None:
                continue
            try:
                hook.load_state_dict({**state, **tensors.get(hook.state_key, {})})
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise CheckpointError(
                    f"the hook {hook.state_key!r} cannot read its state in {str(path / 'state.json')!r} "
                    f"({type(error).__name__}: {first_line(error)}). It was written by another version of the hook, or "
                    f"is damaged. To start a new run from these weights, use init_from={path}."
                ) from error

    def _fault(self) -> str:
        """Return why weights and moments are not worth keeping, or an empty string."""
        update = self.update
        counters = {*update.guard.state(), *update.precision.state()}
        held = {**self.model.parameters_dict(), **update.state()}
        checked = {name: value for name, value in held.items() if name not in counters}
        broken = [name for name, value in checked.items() if not np.isfinite(value.asnumpy()).all()]
        if broken:
            return (
                f"{len(broken)} of {len(checked)} weights and moments are not finite, {broken[0]!r} for one"
            )
        counts = update.guard.read()
        if counts.n_bad_in_a_row >= HOPELESS:
            return f"the last {counts.n_bad_in_a_row} updates were skipped, with a loss of {counts.last_bad_loss:g}"
        return ""
