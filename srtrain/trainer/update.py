"""The contract of an update: what the trainer runs each step, whatever the task and the number of optimizers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from srtrain.data.loader import Batch
from srtrain.device.precision import Precision
from srtrain.errors import HookError, RecipeError
from srtrain.models.parameters import put
from srtrain.trainer.guard import Guard
from srtrain.trainer.optim import own_state


class Update(nn.Cell):
    """One update of the weights as a Cell, so that MindSpore compiles the whole of it into one graph.

    A subclass defines ``construct``. Its arguments are the arrays of a ``Batch`` as tensors, in the order of the
    fields; it returns the loss, a scalar on the device. It reports each update to ``guard``, and calls
    ``note_norm`` with the gradients if ``watches_norm`` is set. If it trains weights outside the trainer's model,
    it adds them to ``state``.

    Own Parameters of the second optimizer get the prefix ``optimizer2.``, and so on: all Parameters in one graph need
    different names.

    Args:
        optimizers: the first one's learning rate is ``lr``.
        skip_above: see ``Guard``.

    Raises:
        RecipeError: the first of several optimizers has the rate 0, so that there are no ratios to keep.
    """

    def __init__(
        self,
        optimizers: Sequence[nn.Optimizer],
        precision: Precision | None = None,
        skip_above: float | None = None,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.optimizers = tuple(optimizers)
        self.precision = precision or Precision()
        self.guard = Guard(skip_above)
        self.norm = ms.Parameter(Tensor(np.nan, ms.float32), name="update.grad_norm", requires_grad=False)
        self.watches_norm = False
        self.each = ops.HyperMap()
        self._lr_ratios = [1.0]
        if len(self.optimizers) > 1:
            rates = [float(optimizer.learning_rate.asnumpy()) for optimizer in self.optimizers]
            if not rates[0]:
                raise RecipeError(
                    "the first of several optimizers has the learning rate 0; the others keep their ratio to it, so "
                    "give it a rate above 0."
                )
            self._lr_ratios = [rate / rates[0] for rate in rates]
        for number, optimizer in enumerate(self.optimizers[1:], 2):
            for name, parameter in own_state(optimizer).items():
                parameter.name = f"optimizer{number}.{name}"

    def run(self, batch: Batch) -> Tensor:
        """Make one update from a batch; return its loss, which stays on the device."""
        loss: Tensor = self(*(Tensor.from_numpy(array) for array in arrays_of(batch).values()))
        return loss

    def state(self) -> dict[str, ms.Parameter]:
        """Return by name everything beside the model that an exact resume needs."""
        held = {name: p for optimizer in self.optimizers for name, p in own_state(optimizer).items()}
        return {**held, **self.precision.state(), **self.guard.state()}

    @property
    def lr(self) -> float:
        """The learning rate of the first optimizer."""
        return float(self.optimizers[0].learning_rate.asnumpy())

    def set_lr(self, lr: float) -> None:
        """Set the rate of the first optimizer, and keep the ratios that the others had to it at construction."""
        for optimizer, ratio in zip(self.optimizers, self._lr_ratios, strict=True):
            put(optimizer.learning_rate, lr * ratio)

    @property
    def grad_norm(self) -> float:
        """Global L2 norm of the gradient of the last update that was made; reading it waits for the device.

        The gradient is the mean over the ranks, without loss scale and before clipping. The norm is NaN until this
        process has made an update.

        Raises:
            HookError: ``watches_norm`` is not set.
        """
        if not self.watches_norm:
            raise HookError(
                "the gradient norm is not computed, because it costs time in each update. Call "
                "trainer.watch_grad_norm() in the hook's setup, or add the hook grad_norm."
            )
        return float(self.norm.asnumpy())

    def note_norm(self, gradients: tuple[Tensor, ...]) -> Tensor:
        """Keep the global L2 norm of gradients on the device, for ``grad_norm`` to read."""
        return ops.assign(self.norm, ops.sqrt(ops.addn(self.each(_square_sum, gradients))))


def _square_sum(gradient: Tensor) -> Tensor:
    return ops.square(ops.cast(gradient, ms.float32)).sum()


def arrays_of(batch: Batch) -> dict[str, NDArray[Any]]:
    """Return the arrays among the fields of a batch by name, in the order of the fields."""
    values = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
