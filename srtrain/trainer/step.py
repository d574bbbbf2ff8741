"""One update of the weights as a Cell, so that MindSpore compiles the whole of it into one graph."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, amp, nn, ops

from srtrain.trainer.precision import Precision


class TrainStep(nn.Cell):
    """Forward, loss, backward, clip, and the optimizer.

    A Cell and not a jitted function: the latter takes twice as long (see docs/mindspore.md).
    """

    def __init__(
        self,
        model: nn.Cell,
        loss: nn.Cell,
        optimizer: nn.Optimizer,
        *,
        precision: Precision | None = None,
        reducer: nn.Cell | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(auto_prefix=False)
        precision = precision or Precision()
        self.network = precision.prepare(model)
        self.loss = loss
        self.optimizer = optimizer
        self.reducer = reducer
        self.clip_norm = clip_norm
        self.precision = precision
        self.scaler = precision.scaler
        self.skipped = ms.Parameter(Tensor(0, ms.int32), name="skipped_steps", requires_grad=False)
        self.value_and_grad = ms.value_and_grad(self.forward, None, optimizer.parameters)

    def forward(self, lq: Tensor, gt: Tensor) -> Tensor:
        """Return the (scaled) loss of a batch."""
        loss = self.loss(self.network(lq), gt)
        if self.scaler is not None:
            loss = self.scaler.scale(loss)
        return loss

    def construct(self, lq: Tensor, gt: Tensor) -> Tensor:
        """Update the weights once; return the loss of the batch, uint8 or float NCHW, before the update."""
        lq, gt = ops.cast(lq, ms.float32), ops.cast(gt, ms.float32)
        loss, gradients = self.value_and_grad(lq, gt)
        if self.reducer is not None:
            gradients = self.reducer(gradients)
        if self.scaler is None:
            return ops.depend(loss, self.update(gradients))
        finite = amp.all_finite(gradients)
        loss = self.scaler.unscale(loss)
        if finite:
            loss = ops.depend(loss, self.update(self.scaler.unscale(gradients)))
        else:
            loss = ops.depend(loss, ops.assign_add(self.skipped, Tensor(1, ms.int32)))
        return ops.depend(loss, self.scaler.adjust(finite))

    def update(self, gradients: tuple[Tensor, ...]) -> Tensor:
        """Clip the gradients if asked to, and apply them."""
        if self.clip_norm is not None:
            gradients = ops.clip_by_global_norm(gradients, self.clip_norm)
        return self.optimizer(gradients)
