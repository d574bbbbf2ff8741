"""Mixed precision by the levels of MindSpore's ``amp``, with a static or a dynamic loss scale."""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
from mindspore import amp, nn

from srtrain.errors import RecipeError
from srtrain.registry import PRECISIONS
from srtrain.trainer.precision import Precision


class MixedPrecision(Precision):
    """Runs the network in float16 where the level says so; weights and optimizer stay float32.

    Args:
        level: ``O2`` keeps batch norm in float32, ``O3`` keeps nothing (safe for networks without batch
            norm, such as EDSR), ``auto`` chooses operator by operator.
        loss_scale: a number keeps it fixed; ``"dynamic"`` starts high, halves after an overflow and
            doubles after ``window`` good updates.
        window: good updates before a dynamic scale grows.
    """

    def __init__(self, level: str, loss_scale: float | str, window: int) -> None:
        super().__init__()
        self.level = level
        if loss_scale == "dynamic":
            self.scaler = amp.DynamicLossScaler(scale_value=2**16, scale_factor=2, scale_window=window)
        elif isinstance(loss_scale, (int, float)) and loss_scale >= 1:
            self.scaler = amp.StaticLossScaler(loss_scale)
        else:
            raise RecipeError(
                f"precision.loss_scale = {loss_scale!r} must be a number from 1 up or 'dynamic'."
            )

    def prepare(self, model: nn.Cell) -> nn.Cell:
        """Return the network with the casts of its level."""
        return amp.auto_mixed_precision(model, amp_level=self.level, dtype=ms.float16)

    def state(self) -> dict[str, ms.Parameter]:
        """Return the moving parts of a dynamic scale."""
        if isinstance(self.scaler, amp.DynamicLossScaler):
            return {"loss_scale.value": self.scaler.scale_value, "loss_scale.counter": self.scaler.counter}
        return {}

    def loss_scale(self) -> float:
        """Return the present scale of the loss."""
        return 1.0 if self.scaler is None else float(self.scaler.scale_value)


def _level(name: str) -> Callable[..., MixedPrecision]:
    def build(loss_scale: float | str = 1000.0, window: int = 1000) -> MixedPrecision:
        return MixedPrecision(name, loss_scale, window)

    return build


PRECISIONS.register("O0")(Precision)
for _name in ("O2", "O3", "auto"):
    PRECISIONS.register(_name)(_level(_name))
