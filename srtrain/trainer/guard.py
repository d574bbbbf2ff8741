"""Decide inside the compiled update whether to make it, and count what was skipped."""

from __future__ import annotations

from dataclasses import dataclass

import mindspore as ms
from mindspore import Tensor, nn, ops

from srtrain.errors import RecipeError
from srtrain.models.parameters import put

WARM_UP = 20  # no loss is called too high before this many were accepted
WINDOW = 100  # the running mean covers about this many accepted losses
HOPELESS = 10  # after this many bad updates in a row, the weights themselves are suspect


@dataclass(frozen=True)
class GuardCounts:
    """How many updates were made and skipped so far.

    Attributes:
        n_accepted: updates that were made.
        mean_loss: running mean of their losses.
        n_bad: updates skipped because the loss was not finite or too high, or because a gradient was not finite
            without loss scaling.
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


class Guard(nn.Cell):
    """Judges each update by its loss. The counts stay on the device, so that no step waits for the host.

    A loss is usual if it is finite and, with ``skip_above``, at most that many times the running mean of the
    accepted losses. The running mean is their plain mean at first; later it covers about the last hundred.
    Checkpoints hold the counts beside the optimizer's moments, so that resume is exact.

    Args:
        skip_above: limit as a multiple of the running mean; ``None`` accepts every finite loss.

    Raises:
        RecipeError: the factor would skip ordinary updates.
    """

    def __init__(self, skip_above: float | None = None) -> None:
        super().__init__(auto_prefix=False)
        if skip_above is not None and not skip_above > 1:
            raise RecipeError(
                f"optim.skip_above = {skip_above!r} must be above 1: an update is skipped if its loss is above this "
                f"many times the running mean. Use 3 to 10, or None to skip only losses that are not finite."
            )
        self.skip_above = skip_above
        self.accepted = _number("accepted", 0)
        self.mean_loss = _number("mean_loss", 0.0)
        self.bad = _number("bad", 0)
        self.bad_in_a_row = _number("bad_in_a_row", 0)
        self.last_bad_loss = _number("last_bad_loss", 0.0)
        self.overflows = _number("overflows", 0)
        self.overflows_in_a_row = _number("overflows_in_a_row", 0)

    def usual(self, loss: Tensor) -> Tensor:
        """Return whether a loss is finite and not above the limit."""
        usual = ops.isfinite(loss)
        if self.skip_above is not None:
            usual = usual & ((self.accepted < WARM_UP) | (loss <= self.skip_above * self.mean_loss))
        return usual

    def accept(self, loss: Tensor) -> Tensor:
        """Count an update that was made, and move the running mean."""
        n_accepted = ops.assign_add(self.accepted, Tensor(1, ms.int32))
        weight = 1 / ops.cast(ops.minimum(n_accepted, WINDOW), ms.float32)
        mean = ops.assign(self.mean_loss, self.mean_loss + (loss - self.mean_loss) * weight)
        mean = ops.depend(mean, ops.assign(self.bad_in_a_row, Tensor(0, ms.int32)))
        return ops.depend(mean, ops.assign(self.overflows_in_a_row, Tensor(0, ms.int32)))

    def skip_bad(self, loss: Tensor) -> Tensor:
        """Count an update that was skipped for its loss, or for a gradient without loss scaling."""
        noted = ops.assign(self.last_bad_loss, loss)
        noted = ops.depend(noted, ops.assign_add(self.bad, Tensor(1, ms.int32)))
        return ops.depend(noted, ops.assign_add(self.bad_in_a_row, Tensor(1, ms.int32)))

    def skip_overflow(self) -> Tensor:
        """Count an update with a usual loss whose gradients overflowed: the loss scale was too high."""
        noted = ops.assign_add(self.overflows, Tensor(1, ms.int32))
        return ops.depend(noted, ops.assign_add(self.overflows_in_a_row, Tensor(1, ms.int32)))

    def state(self) -> dict[str, ms.Parameter]:
        """Return the counts as Parameters by name, for the checkpoint."""
        return {parameter.name: parameter for parameter in self.get_parameters()}

    def read(self) -> GuardCounts:
        """Return the counts; reading them waits for the device."""
        return GuardCounts(
            n_accepted=int(self.accepted.asnumpy()),
            mean_loss=float(self.mean_loss.asnumpy()),
            n_bad=int(self.bad.asnumpy()),
            n_bad_in_a_row=int(self.bad_in_a_row.asnumpy()),
            last_bad_loss=float(self.last_bad_loss.asnumpy()),
            n_overflows=int(self.overflows.asnumpy()),
            n_overflows_in_a_row=int(self.overflows_in_a_row.asnumpy()),
        )

    def start_anew(self, before: GuardCounts) -> None:
        """Begin again from older weights: keep the totals, and reset the counts in a row."""
        put(self.bad, before.n_bad)
        put(self.overflows, before.n_overflows)
        put(self.last_bad_loss, before.last_bad_loss)
        put(self.bad_in_a_row, 0)
        put(self.overflows_in_a_row, 0)


def _number(name: str, value: float) -> ms.Parameter:
    dtype = ms.int32 if isinstance(value, int) else ms.float32
    return ms.Parameter(Tensor(value, dtype), name=f"guard.{name}", requires_grad=False)
