"""The training loop. Everything else is a hook."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn

from srtrain.data.loader import BatchSource
from srtrain.device.backend import Backend
from srtrain.errors import CheckpointError, DeviceError, HookError, RecipeError
from srtrain.evaluation.evaluator import EvalSet
from srtrain.evaluation.results import EvalResult
from srtrain.trainer.api import StepOutput
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.trainer.guard import GuardCounts
from srtrain.trainer.hook import Hook, plan
from srtrain.trainer.log import Log
from srtrain.trainer.points import StepProgress, call, call_despite_errors
from srtrain.trainer.sink import batches_to_sink
from srtrain.trainer.state import RunState
from srtrain.trainer.update import Update


class Trainer:
    """Runs updates from ``step`` to ``max_steps`` and calls the hooks, which see it as a ``TrainerApi``.

    ``step`` is the number of finished updates, skipped ones included. It advances before ``after_step``: a
    checkpoint named ``step_00010000`` was written after 10 000 updates, and resume continues at ``step``.

    Attributes:
        model: the network, without what the precision wraps around it.
        state: what checkpoints hold.
        sink_steps: number of updates at a time: see ``sink``.
    """

    def __init__(
        self,
        model: nn.Cell,
        update: Update,
        loader: BatchSource,
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
        self.optimizers = update.optimizers
        self.precision = update.precision
        self.state = RunState(model, update, self.hooks, store, backend)
        self.step = 0
        self.progress = StepProgress()
        self.data_seconds = 0.0
        self.paused_seconds = 0.0
        self.stop_reason = ""
        self.sink_steps = 1
        self._step_before = 0
        self._saved_step = -1
        self._set_up = False

    def train(self, resume: Path | None = None, accept: Callable[[], object] | None = None) -> None:
        """Train to the end or until a stop is requested.

        Args:
            resume: the checkpoint to start from.
            accept: called after ``setup`` and after the checkpoint was read, when nothing of the trainer refuses the
                start any more. Nothing in the run folder changes before.
        """
        try:
            self._call("setup")
            self._set_up = True
            if resume is not None:
                self._restore(resume)
            if accept is not None:
                accept()
            if resume is not None:
                self._continue_from(resume)
            self._call("before_train")
            if self.progress.again:
                self._after_step(
                    StepOutput(ms.Tensor(self.log.last_loss), self.loader.batch_size, self.progress.n_steps)
                )
            advance = self._start_data()
            while not self.finished and not self.stop_reason:
                advance()
            if self.finished and self._saved_step == self.step:
                self.state.settle(self.step, {"log": self.log.state(), "progress": self.progress.ended()})
            self._call("after_train")
        except BaseException as error:
            call_despite_errors(self.hooks, "on_error", self, error)
            raise
        finally:
            self.loader.close()
            call_despite_errors(self.hooks[::-1], "close", self)

    def sink(self, n_steps: int) -> None:
        """Make ``n_steps`` updates at a time, from batches that wait in a queue on the device.

        Hooks then run once every ``n_steps`` updates. ``before_step`` sees the first batch, and the learning rate
        it sets holds for all of them.

        Raises:
            DeviceError: the device has no such queue.
            RecipeError: the number of remaining updates is not a multiple of ``n_steps``.
        """
        if n_steps > 1 and (reason := self.backend.why_no_sink()):
            raise DeviceError(f"sink_steps = {n_steps!r}: {reason}")
        n_left = self.max_steps - self.step
        if n_left % n_steps:
            raise RecipeError(
                f"sink_steps = {n_steps!r}: the {n_left} updates from step {self.step} to {self.max_steps} are "
                f"no multiple of it. Use a divisor of {n_left}."
            )
        self.sink_steps = n_steps

    def _start_data(self) -> Callable[[], None]:
        """Start to compute batches; return a function that makes the next ``sink_steps`` updates."""
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
        self._finish(self.update.run(batch), 1)

    def _finish(self, loss: ms.Tensor, n_steps: int) -> None:
        self._step_before, self.step = self.step, self.step + n_steps
        self.log.keep_loss(loss)
        if self.log_due:
            self.log.scalars = {"loss": self.log.gather_loss()}
        self.progress.begin(n_steps, log_due=self.log_due, finished=self.finished)
        self._after_step(StepOutput(loss, self.loader.batch_size, n_steps))

    def _after_step(self, out: StepOutput) -> None:
        for hook in self.progress.left(self.hooks):
            call([hook], "after_step", self, out)

    @property
    def finished(self) -> bool:
        """Whether all updates are done."""
        return self.step >= self.max_steps or (self.progress.again and self.progress.finished)

    def due(self, every: int) -> bool:
        """Return whether a multiple of ``every`` was reached by the step just finished."""
        return self.step // every > self._step_before // every

    @property
    def log_due(self) -> bool:
        """Whether numbers are written after the step just finished."""
        return self.progress.log_due if self.progress.again else self.due(self.log.every) or self.finished

    @property
    def lr(self) -> float:
        """The learning rate of the next update: that of the first optimizer."""
        return self.update.lr

    def set_lr(self, lr: float) -> None:
        """Set ``lr``; the other optimizers keep the ratio to the first one that they had at construction."""
        self.update.set_lr(lr)

    @property
    def counts(self) -> GuardCounts:
        """How many updates were made and skipped; reading it waits for the device."""
        return self.update.guard.read()

    @property
    def in_doubt(self) -> bool:
        """Whether the last update was skipped as a bad one, so that the weights are suspect; waits for the device."""
        return self.counts.n_bad_in_a_row > 0

    def watch_grad_norm(self) -> None:
        """Compute the gradient norm of each update, for ``grad_norm``.

        Raises:
            HookError: called after ``setup``, when the update may be compiled already.
        """
        if self._set_up:
            raise HookError(
                "trainer.watch_grad_norm() must be called in setup, before the update is compiled."
            )
        self.update.watches_norm = True

    @property
    def grad_norm(self) -> float:
        """Global L2 norm of the gradient of the last update that was made; see ``Update.grad_norm``."""
        return self.update.grad_norm

    def evaluate(self, benchmark: EvalSet, run: Callable[[EvalSet], EvalResult]) -> EvalResult:
        """Score one benchmark with ``run``, between the points that hooks may act at."""
        if (known := self.progress.known(benchmark.name)) is not None:
            return known
        with self._pause():
            self._call("before_eval", benchmark)
            result = run(benchmark)
            self.progress.keep(result)
            self._call("after_eval", result)
        return result

    def request_stop(self, reason: str) -> None:
        """End after the present step. Hooks still see ``after_train``, so the state is saved."""
        self.stop_reason = self.stop_reason or reason

    def save(self) -> Path:
        """Write a checkpoint of this step unless there is one; return its folder. See ``RunState.save`` for errors."""
        if self._saved_step == self.step:
            return self.store.path(self.step)
        with self._pause():
            path = self.state.save(self.step, {"log": self.log.state(), "progress": self.progress.state()})
            self._saved_step = self.step
            self._call("after_save", path)
        return path

    def diverged_advice(self) -> str:
        """Return which checkpoint is the newest, and what to try."""
        return self.state.diverged_advice()

    def roll_back(self, path: Path) -> None:
        """Load weights, optimizers and the hooks' state from a checkpoint of this run, and go on at ``step``.

        The step and the learning rate stay, so the run goes on with other pictures. Raises the errors of
        ``RunState.roll_back``.
        """
        with self._pause():
            self.state.roll_back(path)

    def _restore(self, path: Path) -> None:
        checkpoint = self.state.restore(path)
        self.step = self._step_before = checkpoint.step
        self.log.restore(checkpoint.state.get("log"))
        if progress := checkpoint.state.get("progress"):
            self.progress.restore(progress)
            self._step_before = self.step - self.progress.n_steps
        if self.step > self.max_steps:
            raise CheckpointError(
                f"{path} has {self.step} finished updates, but this run ends at {self.max_steps}. Ask for more steps, "
                f"or resume from an earlier checkpoint."
            )
        self.sink(self.sink_steps)

    def _continue_from(self, path: Path) -> None:
        """Delete what a run beyond this checkpoint has left."""
        if path.parent.resolve() == self.store.folder.resolve():
            self._saved_step = self.step
            self.store.forget_after(self.step)
        self.log.info(f"resumed from {path}: {self.step} of {self.max_steps} updates are done")

    @contextlib.contextmanager
    def _pause(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.paused_seconds += time.perf_counter() - started

    def _call(self, point: str, *args: Any) -> None:
        call(self.hooks, point, self, *args)
