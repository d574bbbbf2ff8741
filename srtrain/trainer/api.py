"""What a hook sees of the trainer: the documented surface, and what one update produced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import mindspore as ms
from mindspore import nn

from srtrain.device.backend import Backend
from srtrain.device.precision import Precision
from srtrain.evaluation.evaluator import EvalSet
from srtrain.evaluation.results import EvalResult
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.trainer.guard import GuardCounts
from srtrain.trainer.log import Log


@dataclass(frozen=True)
class StepOutput:
    """What one update produced.

    Attributes:
        loss: scalar on the device; reading it (``float(out.loss)``) waits for the device.
        n_pictures: patches in the batch, over all ranks.
        n_steps: updates since the last ``after_step``; more than one if the trainer sinks updates.
    """

    loss: ms.Tensor
    n_pictures: int
    n_steps: int = 1


class TrainerApi(Protocol):
    """Everything that a hook may use of the trainer; ``docs/custom_hook.md`` lists the same names.

    Hooks annotate their ``trainer`` parameter with this class, so that mypy reports the use of anything else.
    """

    @property
    def step(self) -> int:
        """Number of finished updates, skipped ones included."""

    @property
    def max_steps(self) -> int:
        """Number of updates of the whole run."""

    @property
    def finished(self) -> bool:
        """Whether all updates are done."""

    def due(self, every: int) -> bool:
        """Return whether the last update reached a multiple of ``every`` steps."""

    @property
    def log_due(self) -> bool:
        """Whether this is a logging step: numbers are written every ``log.every`` steps and at the end."""

    @property
    def model(self) -> nn.Cell:
        """The network that is saved and evaluated."""

    @property
    def optimizers(self) -> tuple[nn.Optimizer, ...]:
        """The optimizers of the update."""

    @property
    def precision(self) -> Precision:
        """How numbers are stored and scaled during training."""

    @property
    def lr(self) -> float:
        """The learning rate of the first optimizer for the next update."""

    def set_lr(self, lr: float) -> None:
        """Set ``lr`` for the next update; other optimizers keep their ratio to the first one."""

    @property
    def counts(self) -> GuardCounts:
        """How many updates were made and skipped; reading it waits for the device."""

    @property
    def in_doubt(self) -> bool:
        """Whether the last update was skipped as a bad one; reading it waits for the device."""

    def watch_grad_norm(self) -> None:
        """Compute the gradient norm of each update from now on; call it in ``setup``."""

    @property
    def grad_norm(self) -> float:
        """L2 norm of the gradient of the last update that was made; reading it waits for the device."""

    @property
    def log(self) -> Log:
        """The console, ``run.log``, and the numbers of a logging step."""

    @property
    def backend(self) -> Backend:
        """The device, and the rank of this process."""

    @property
    def run_dir(self) -> Path:
        """The folder of this run."""

    @property
    def store(self) -> CheckpointStore:
        """The checkpoints of this run."""

    def save(self) -> Path:
        """Write a checkpoint of the present step unless there is one; return its folder."""

    def roll_back(self, path: Path) -> None:
        """Load weights, optimizers and hooks' state from a checkpoint, and go on at ``step``."""

    def diverged_advice(self) -> str:
        """Return the text for an error: the newest checkpoint, and what to try."""

    def evaluate(self, benchmark: EvalSet, run: Callable[[EvalSet], EvalResult]) -> EvalResult:
        """Score one benchmark with ``run``, between ``before_eval`` and ``after_eval`` of all hooks."""

    def request_stop(self, reason: str) -> None:
        """End the run after the present step."""

    @property
    def stop_reason(self) -> str:
        """Why the run ends before ``max_steps``; empty while it does not."""

    @property
    def data_seconds(self) -> float:
        """Seconds spent waiting for batches since this process started."""

    @property
    def paused_seconds(self) -> float:
        """Seconds spent saving, evaluating and rolling back since this process started."""
