"""The loop. Everything that is not the loop is a hook."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from srtrain.data.loader import Loader
from srtrain.device.backend import Backend
from srtrain.errors import CheckpointError, DeviceError, RecipeError, TrainingDivergedError
from srtrain.evaluation.evaluator import EvalSet
from srtrain.evaluation.results import EvalResult
from srtrain.models.parameters import put
from srtrain.trainer.checkpoint import Checkpoint, CheckpointStore, assign
from srtrain.trainer.hook import Hook, overrides, plan
from srtrain.trainer.log import Log
from srtrain.trainer.optim import own_state
from srtrain.trainer.sink import batches_to_sink
from srtrain.trainer.step import TrainStep
from srtrain.trainer.types import GuardCounts, StepOutput

HOPELESS = 10  # bad updates in a row after which the weights themselves are under suspicion


class Trainer:
    """Runs updates from ``step`` to ``max_steps`` and calls the hooks.

    ``step`` is the number of finished updates, skipped ones included, and advances before ``after_step``; a
    checkpoint named ``step_00010000`` was written after 10 000 of them, and resume continues at ``step``.

    Attributes:
        model: the network, without what the precision wraps around it.
        store: the checkpoints of this run.
        run_dir: the folder of this run.
        data_seconds: time spent waiting for batches since this process started.
        paused_seconds: the same for saving and evaluating, the hooks at those points included.
        sink_steps: updates at a time: see ``sink``.
        stop_reason: why the run ends before ``max_steps``; empty while it does not.
    """

    def __init__(
        self,
        model: nn.Cell,
        update: TrainStep,
        loader: Loader,
        hooks: list[Hook],
        max_steps: int,
        backend: Backend,
        store: CheckpointStore,
        log: Log,
    ) -> None:
        self.model = model
        self.update = update
        self.loader = loader
        self.hooks = plan(hooks)
        self.max_steps = max_steps
        self.backend = backend
        self.store = store
        self.log = log
        self.run_dir = store.folder.parent
        self.optimizer = update.optimizer
        self.precision = update.precision
        self.step = 0
        self.data_seconds = 0.0
        self.paused_seconds = 0.0
        self.stop_reason = ""
        self.sink_steps = 1
        self._step_before = 0
        self._saved_step = -1

    def train(self, resume: Path | None = None) -> None:
        """Train to the end, or until a stop is requested; with ``resume``, from that checkpoint on."""
        try:
            self._call("setup")
            if resume is not None:
                self._restore(resume)
            self._call("before_train")
            advance = self._start_data()
            while not self.finished and not self.stop_reason:
                advance()
            self._call("after_train")
        except BaseException as error:
            self._call_despite_errors("on_error", self.hooks, error)
            raise
        finally:
            self.loader.close()
            self._call_despite_errors("close", self.hooks[::-1])

    def sink(self, n_steps: int) -> None:
        """Make ``n_steps`` updates at a time, from batches that wait in a queue on the device.

        Hooks then run at multiples. ``before_step`` sees the first batch, and the rate it sets is for all.

        Raises:
            DeviceError: the device has no such queue.
            RecipeError: the updates to go are no multiple.
        """
        if n_steps > 1 and (reason := self.backend.why_no_sink()):
            raise DeviceError(f"train.sink_steps = {n_steps!r}: {reason}")
        n_left = self.max_steps - self.step
        if n_left % n_steps:
            raise RecipeError(
                f"train.sink_steps = {n_steps!r}: the {n_left} updates from step {self.step} to {self.max_steps} are "
                f"no multiple of it. Use a divisor of {n_left}."
            )
        self.sink_steps = n_steps

    def _start_data(self) -> Callable[[], None]:
        """Begin to compute batches; return what makes the next update, or the next ``sink_steps`` of them."""
        if self.sink_steps == 1:
            self.loader.start(self.step)
            return self._one_step
        batches = batches_to_sink(self.loader, self.step, self.max_steps - self.step)
        run = self.backend.sink(self.update, batches, self.sink_steps)
        return lambda: self._sunk_steps(run)

    def _sunk_steps(self, run: Callable[[], ms.Tensor]) -> None:
        self._call("before_step", self.loader.batch(self.step))
        self._finish(run(), self.sink_steps)

    def _one_step(self) -> None:
        asked = time.perf_counter()
        batch = self.loader.next()
        self.data_seconds += time.perf_counter() - asked
        self._call("before_step", batch)
        self._finish(self.update(ms.Tensor.from_numpy(batch.lq), ms.Tensor.from_numpy(batch.gt)), 1)

    def _finish(self, loss: ms.Tensor, n_steps: int) -> None:
        self._step_before, self.step = self.step, self.step + n_steps
        self.log.keep_loss(loss)
        if self.log_due:
            self.log.scalars = {"loss": self.log.gather_loss()}
        self._call("after_step", StepOutput(loss, self.loader.batch_size, n_steps))

    @property
    def finished(self) -> bool:
        """Whether all updates are done."""
        return self.step >= self.max_steps

    def due(self, every: int) -> bool:
        """Return whether a multiple of ``every`` was reached by the step just finished."""
        return self.step // every > self._step_before // every

    @property
    def log_due(self) -> bool:
        """Whether numbers are written after the step just finished."""
        return self.due(self.log.every) or self.finished

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""
        return float(self.optimizer.learning_rate.asnumpy())

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of the next update."""
        put(self.optimizer.learning_rate, lr)

    def evaluate(self, benchmark: EvalSet, run: Callable[[EvalSet], EvalResult]) -> EvalResult:
        """Score one benchmark with ``run``, between the points that hooks may act at."""
        started = time.perf_counter()
        self._call("before_eval", benchmark)
        result = run(benchmark)
        self._call("after_eval", result)
        self.paused_seconds += time.perf_counter() - started
        return result

    def request_stop(self, reason: str) -> None:
        """End after the present step; hooks still see ``after_train``, so the state is saved."""
        self.stop_reason = self.stop_reason or reason

    @property
    def in_doubt(self) -> bool:
        """Whether the last update was skipped as a bad one: the weights may be what made its loss bad.

        Asking waits for the device.
        """
        return self.update.guard.read().n_bad_in_a_row > 0

    def save(self) -> Path:
        """Write a checkpoint of the present step, unless there is one already; return its folder.

        Raises:
            TrainingDivergedError: a weight or a moment is not finite, or every update is skipped: this state
                is not worth keeping.
            SrtrainError: the disk is full or not writable.
        """
        if self._saved_step == self.step:
            return self.store.path(self.step)
        started = time.perf_counter()
        held = {**self.model.parameters_dict(), **own_state(self.optimizer)}
        if fault := fault_of(held, self.update.guard.read()):
            raise TrainingDivergedError(
                f"{fault}: the state of step {self.step} is not saved. {self.diverged_advice()}"
            )
        tensors, state = self._state()
        path = self.store.save(self.step, tensors, state)
        self.backend.barrier()
        self._saved_step = self.step
        self._call("after_save", path)
        self.paused_seconds += time.perf_counter() - started
        return path

    def diverged_advice(self) -> str:
        """Return where the last good checkpoint is and what to try."""
        return (
            f"The last good checkpoint is {self.store.latest() or 'not there yet'}; try a lower optim.lr, "
            f"optim.clip_norm=0.5, or a smaller model.res_scale."
        )

    def roll_back(self, path: Path) -> None:
        """Take weights, optimizer and the hooks' state from a checkpoint of this run, and go on at ``step``.

        The clock and the learning rate stay where they are, and with the clock the pictures that come next.

        Raises:
            CheckpointError: the checkpoint is missing, broken or does not fit.
        """
        started = time.perf_counter()
        self.backend.barrier()
        lr, counts = self.lr, self.update.guard.read()
        self._take_state(self.store.load(path))
        self.set_lr(lr)
        self.update.guard.start_anew(counts)
        self.paused_seconds += time.perf_counter() - started

    def _state(self) -> tuple[dict[str, dict[str, ms.Tensor]], dict[str, Any]]:
        """Return everything an exact resume needs: tensors by group, and JSON values."""
        tensors: dict[str, dict[str, ms.Tensor]] = {
            "model": dict(self.model.parameters_dict()),
            "optimizer": dict(self._update_state()),
        }
        hooks: dict[str, Any] = {}
        for hook in self.hooks:
            state = hook.state_dict()
            held = {name: value for name, value in state.items() if isinstance(value, ms.Tensor)}
            if held:
                tensors[hook.state_key] = held
            if state:
                hooks[hook.state_key] = {name: value for name, value in state.items() if name not in held}
        return tensors, {"hooks": hooks}

    def _update_state(self) -> dict[str, ms.Parameter]:
        return {**own_state(self.optimizer), **self.precision.state(), **self.update.guard.state()}

    def _take_state(self, checkpoint: Checkpoint) -> None:
        path, tensors = checkpoint.path, checkpoint.tensors
        assign(self.model.parameters_dict(), tensors["model"], f"the model in {path}")
        assign(self._update_state(), tensors["optimizer"], f"the optimizer in {path}")
        for hook in self.hooks:
            state = checkpoint.state["hooks"].get(hook.state_key)
            if state is not None:
                hook.load_state_dict({**state, **tensors.get(hook.state_key, {})})

    def _restore(self, path: Path) -> None:
        checkpoint = self.store.load(path)
        steps = self.backend.gather(np.array([float(checkpoint.step)]))
        if (steps != checkpoint.step).any():
            raise CheckpointError(
                f"the ranks would go on from different checkpoints: {path} has {checkpoint.step} updates, and others "
                f"{', '.join(f'{step:.0f}' for step in np.unique(steps) if step != checkpoint.step)}. Put run_dir on a "
                f"disk that all machines share, or name one checkpoint with --resume PATH."
            )
        self._take_state(checkpoint)
        self.step = self._step_before = checkpoint.step
        if self.step > self.max_steps:
            raise CheckpointError(
                f"{path} has {self.step} finished updates, but the recipe ends at {self.max_steps}. Raise train.steps."
            )
        self.sink(self.sink_steps)
        if path.parent == self.store.folder:
            self._saved_step = self.step
            self.store.forget_after(self.step)
        self.log.info(f"resumed from {path}: {self.step} of {self.max_steps} updates are done")

    def _call(self, point: str, *args: Any) -> None:
        for hook in self.hooks:
            if overrides(hook, point):
                try:
                    getattr(hook, point)(self, *args)
                except BaseException as error:
                    add_note(error, f"while running {type(hook).__name__}.{point} at step {self.step}")
                    raise

    def _call_despite_errors(self, point: str, hooks: list[Hook], *args: Any) -> None:
        """Give every hook its chance to clean up; what goes wrong is logged and hides no earlier error."""
        for hook in hooks:
            try:
                getattr(hook, point)(self, *args)
            except Exception as error:
                self.log.warning(f"{type(hook).__name__}.{point} failed: {type(error).__name__}: {error}")


def fault_of(held: dict[str, ms.Parameter], counts: GuardCounts) -> str:
    """Return why weights and moments are not worth keeping, or an empty string."""
    broken = [name for name, value in held.items() if not np.isfinite(value.asnumpy()).all()]
    if broken:
        return f"{len(broken)} of {len(held)} weights and moments are not finite, {broken[0]!r} for one"
    if counts.n_bad_in_a_row >= HOPELESS:
        return (
            f"the last {counts.n_bad_in_a_row} updates were skipped, with a loss of {counts.last_bad_loss:g}"
        )
    return ""


def add_note(error: BaseException, note: str) -> None:
    """Attach a line to an exception, as ``add_note`` does from Python 3.11 on; inner notes come first."""
    error.__notes__ = [*getattr(error, "__notes__", []), note]  # type: ignore[attr-defined]
