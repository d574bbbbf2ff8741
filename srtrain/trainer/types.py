"""The plain values that travel between trainer, evaluator and hooks."""

from __future__ import annotations

from dataclasses import dataclass

import mindspore as ms


@dataclass(frozen=True)
class StepOutput:
    """What one update produced.

    Attributes:
        loss: scalar on the device; reading it (``float(out.loss)``) waits for the device.
        n_pictures: patches in the batch, over all ranks.
        n_steps: updates since the last ``after_step``; more than one with ``train.sink_steps``.
    """

    loss: ms.Tensor
    n_pictures: int
    n_steps: int = 1


@dataclass(frozen=True)
class GuardCounts:
    """What became of the updates so far.

    Attributes:
        n_accepted: updates that were made.
        mean_loss: running mean of their losses.
        n_bad: updates skipped for a loss that was not finite or too high, or for a gradient in float32.
        last_bad_loss: the loss of the last of them.
        n_overflows: updates skipped because gradients overflowed under loss scaling.
    """

    n_accepted: int
    mean_loss: float
    n_bad: int
    n_bad_in_a_row: int
    last_bad_loss: float
    n_overflows: int
    n_overflows_in_a_row: int

    @property
    def n_skipped(self) -> int:
        """Updates skipped for any reason."""
        return self.n_bad + self.n_overflows
