"""The update of super-resolution: one network, one loss, one optimizer."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

from srtrain.device.precision import Precision
from srtrain.trainer.update import Update


class TrainStep(Update):
    """Forward, loss, backward, the mean over the ranks, and the update, unless the guard skips it.

    It is a Cell because a jitted function takes twice as long (see docs/mindspore.md).

    An update whose loss or gradient is not finite is always skipped: weights and moments stay as they are.
    The decision is part of the graph. It is the same on every rank because it uses means over the ranks.

    A network for several scales (srtrain/models/scales.py) runs at the scale between the shapes of ``lq`` and ``gt``.

    Args:
        reducer: averages the loss, the gradients and the mark of an overflow over the ranks.
        accumulate: number of equal parts of a batch that are computed one after the other. The update uses their
            mean gradient, and memory holds the activations of one part. The loss must be a mean over the batch.
        clip_norm: largest global L2 norm of the gradient.
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
        accumulate: int = 1,
        clip_norm: float | None = None,
        skip_above: float | None = None,
    ) -> None:
        super().__init__((optimizer,), precision, skip_above)
        self.network = self.precision.prepare(model)
        self.has_scales = hasattr(model, "scales")
        self.loss = loss
        self.optimizer = optimizer
        self.reducer = reducer
        self.finite = self.precision.finite
        self.accumulate = accumulate
        if accumulate > 1:
            self.sums = optimizer.parameters.clone(prefix="sum", init="zeros")
            self.loss_sum = ms.Parameter(Tensor(0.0), name="loss_sum", requires_grad=False)
        self.clip_norm = clip_norm
        self.scaler = self.precision.scaler
        self.value_and_grad = ms.value_and_grad(self.forward, None, optimizer.parameters, has_aux=True)

    def construct(self, lq: Tensor, gt: Tensor) -> Tensor:
        """Make or skip one update; return the loss before it, averaged over the ranks.

        ``lq`` and ``gt`` are uint8 or float NCHW RGB in [0, 255].
        """
        lq = self.finite.clear(lq)
        if self.accumulate == 1:
            loss, gradients = self.loss_and_gradients(lq, gt)
        else:
            loss, gradients = self.mean_over_parts(lq, gt)
        overflowed = self.finite.overflowed(gradients)
        if self.reducer is not None:
            loss, gradients, overflowed = self.reducer(loss, gradients, overflowed)

        usual, finite = self.guard.usual(loss), self.finite.usable(gradients, overflowed)
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
        """Return the loss of a batch twice: scaled, which is differentiated, and unscaled."""
        # The scale of a batch follows from its shapes, which are constants of the graph.
        sr = self.network(lq, gt.shape[2] // lq.shape[2]) if self.has_scales else self.network(lq)
        loss = self.loss(sr, gt)
        if self.scaler is None:
            return loss, loss
        return self.scaler.scale(loss), loss

    def loss_and_gradients(self, lq: Tensor, gt: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the unscaled loss, and the gradients of the scaled one."""
        lq, gt = ops.cast(lq, ms.float32), ops.cast(gt, ms.float32)
        (_, loss), gradients = self.value_and_grad(lq, gt)
        return loss, gradients

    def mean_over_parts(self, lq: Tensor, gt: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the means of loss and gradients over the parts of a batch.

        This is a loop in the graph: unrolled, it would hold the activations of all parts at once.
        """
        share = lq.shape[0] // self.accumulate
        lq = lq.reshape(self.accumulate, share, *lq.shape[1:])
        gt = gt.reshape(self.accumulate, share, *gt.shape[1:])
        i = ops.depend(
            Tensor(0, ms.int32), self.each(ops.assign, self.sums, self.each(ops.zeros_like, self.sums))
        )
        i = ops.depend(i, ops.assign(self.loss_sum, Tensor(0.0)))
        while i < self.accumulate:
            loss, gradients = self.loss_and_gradients(lq[i], gt[i])
            i = ops.depend(i + 1, self.each(ops.assign_add, self.sums, gradients))
            i = ops.depend(i, ops.assign_add(self.loss_sum, loss))
        return self.loss_sum / self.accumulate, self.each(
            ops.Partial()(ops.mul, 1 / self.accumulate), self.sums
        )

    def update(self, gradients: tuple[Tensor, ...]) -> Tensor:
        """Divide by the loss scale, note the norm and clip if asked to, and apply the gradients."""
        if self.scaler is not None:
            gradients = self.scaler.unscale(gradients)
        noted = self.note_norm(gradients) if self.watches_norm else None
        if self.clip_norm is not None:
            gradients = ops.clip_by_global_norm(gradients, self.clip_norm)
        updated = self.optimizer(gradients)
        return updated if noted is None else ops.depend(updated, noted)
