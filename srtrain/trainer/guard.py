"""Which updates are worth making: the judge inside the compiled update, and its memory."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

from srtrain.errors import RecipeError
from srtrain.models.parameters import put
from srtrain.trainer.types import GuardCounts

WARM_UP = 20  # accepted losses before one can be called too high
WINDOW = 100  # accepted losses that the running mean looks back on, more or less


class Guard(nn.Cell):
    """Judges each update by its loss, and counts on the device, so that no step waits for the host.

    A loss is usual when it is finite and, with ``skip_above``, at most that many times the running mean of the
    losses accepted so far: their plain mean at first, later one that forgets those before the last hundred
    or so. The counts are in the checkpoint, beside the optimizer's moments, so that resume is exact.

    Args:
        skip_above: times the running mean; ``None`` accepts every finite loss.

    Raises:
        RecipeError: a factor that would skip ordinary updates.
    """

    def __init__(self, skip_above: float | None = None) -> None:
        super().__init__(auto_prefix=False)
        if skip_above is not None and not skip_above > 1:
            raise RecipeError(
                f"optim.skip_above = {skip_above!r} must be above 1: it is how many times the running mean of the "
                f"loss is too much. 3 to 10 leaves ordinary noise alone; None skips only what is not finite."
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
        """Return whether a loss is finite and not far above those before it."""
        usual = ops.isfinite(loss)
        if self.skip_above is not None:
            usual = usual & ((self.accepted < WARM_UP) | (loss <= self.skip_above * self.mean_loss))
        return usual

    def accept(self, loss: Tensor) -> Tensor:
        """Take note of an update that was made."""
        n_accepted = ops.assign_add(self.accepted, Tensor(1, ms.int32))
        weight = 1 / ops.cast(ops.minimum(n_accepted, WINDOW), ms.float32)
        mean = ops.assign(self.mean_loss, self.mean_loss + (loss - self.mean_loss) * weight)
        mean = ops.depend(mean, ops.assign(self.bad_in_a_row, Tensor(0, ms.int32)))
        return ops.depend(mean, ops.assign(self.overflows_in_a_row, Tensor(0, ms.int32)))

    def skip_bad(self, loss: Tensor) -> Tensor:
        """Take note of an update that was skipped because of its loss, or because of a gradient in float32."""
        noted = ops.assign(self.last_bad_loss, loss)
        noted = ops.depend(noted, ops.assign_add(self.bad, Tensor(1, ms.int32)))
        return ops.depend(noted, ops.assign_add(self.bad_in_a_row, Tensor(1, ms.int32)))

    def skip_overflow(self) -> Tensor:
        """Take note of gradients that overflowed under a usual loss: the loss scale was too high."""
        noted = ops.assign_add(self.overflows, Tensor(1, ms.int32))
        return ops.depend(noted, ops.assign_add(self.overflows_in_a_row, Tensor(1, ms.int32)))

    def state(self) -> dict[str, ms.Parameter]:
        """Return what a checkpoint must hold for an exact resume."""
        return {parameter.name: parameter for parameter in self.get_parameters()}

    def read(self) -> GuardCounts:
        """Return the counts; this waits for the device."""
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
        """After older weights were loaded: what was skipped stays counted, and nothing was skipped in a row."""
        put(self.bad, before.n_bad)
        put(self.overflows, before.n_overflows)
        put(self.last_bad_loss, before.last_bad_loss)
        put(self.bad_in_a_row, 0)
        put(self.overflows_in_a_row, 0)


def _number(name: str, value: float) -> ms.Parameter:
    dtype = ms.int32 if isinstance(value, int) else ms.float32
    return ms.Parameter(Tensor(value, dtype), name=f"guard.{name}", requires_grad=False)
