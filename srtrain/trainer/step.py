"""One update of the weights as a Cell, so that MindSpore compiles the whole of it into one graph."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, amp, nn, ops

from srtrain.trainer.guard import Guard
from srtrain.trainer.precision import Precision


class TrainStep(nn.Cell):
    """Forward, loss, backward, the mean over the ranks, and the update, unless the guard skips it.

    A Cell and not a jitted function: the latter takes twice as long (see docs/mindspore.md).

    An update with a loss or a gradient that is not finite is always skipped: weights and moments stay as they
    are. The decision is part of the graph and the same on every rank, for it looks at means over the ranks.

    Args:
        reducer: averages the gradients of ``n_ranks`` processes.
        clip_norm: largest global norm of the gradient.
        skip_above: skip losses above this many times their running mean.
    """

    def __init__(
        self,
        model: nn.Cell,
        loss: nn.Cell,
        optimizer: nn.Optimizer,
        *,
        precision: Precision | None = None,
        reducer: nn.Cell | None = None,
        n_ranks: int = 1,
        clip_norm: float | None = None,
        skip_above: float | None = None,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.precision = precision or Precision()
        self.network = self.precision.prepare(model)
        self.loss = loss
        self.optimizer = optimizer
        self.reducer = reducer
        self.n_ranks = n_ranks
        self.all_reduce = ops.AllReduce() if n_ranks > 1 else None
        self.clip_norm = clip_norm
        self.scaler = self.precision.scaler
        self.guard = Guard(skip_above)
        self.value_and_grad = ms.value_and_grad(self.forward, None, optimizer.parameters, has_aux=True)

    def construct(self, lq: Tensor, gt: Tensor) -> Tensor:
        """Update the weights once, or skip it; return the loss before, the mean over all ranks.

        ``lq`` and ``gt`` are uint8 or float NCHW RGB in [0, 255].
        """
        lq, gt = ops.cast(lq, ms.float32), ops.cast(gt, ms.float32)
        (_, loss), gradients = self.value_and_grad(lq, gt)
        if self.reducer is not None:
            gradients = self.reducer(gradients)
        loss = self.mean_over_ranks(loss)

        usual, finite = self.guard.usual(loss), amp.all_finite(gradients)
        if ops.logical_and(usual, finite):
            loss = ops.depend(loss, self.update(gradients))
            loss = ops.depend(loss, self.guard.accept(loss))
        elif self.scaler is not None and usual:
            loss = ops.depend(loss, self.guard.skip_overflow())
        else:
            loss = ops.depend(loss, self.guard.skip_bad(loss))
        if self.scaler is not None:
            loss = ops.depend(loss, self.scaler.adjust(finite))
        return loss

    def forward(self, lq: Tensor, gt: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch twice: scaled, to be differentiated, and as it is."""
        loss = self.loss(self.network(lq), gt)
        if self.scaler is None:
            return loss, loss
        return self.scaler.scale(loss), loss

    def mean_over_ranks(self, loss: Tensor) -> Tensor:
        """Return the loss of the global batch."""
        return loss if self.all_reduce is None else self.all_reduce(loss) / self.n_ranks

    def update(self, gradients: tuple[Tensor, ...]) -> Tensor:
        """Divide by the loss scale, clip if asked to, and apply the gradients."""
        if self.scaler is not None:
            gradients = self.scaler.unscale(gradients)
        if self.clip_norm is not None:
            gradients = ops.clip_by_global_norm(gradients, self.clip_norm)
        return self.optimizer(gradients)
