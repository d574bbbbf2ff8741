"""How numbers are stored and scaled during training. The base class is float32, and the default."""

from __future__ import annotations

import mindspore as ms
from mindspore import amp, nn

from srtrain.device import PRECISIONS


@PRECISIONS.register("float32")
class Precision:
    """Everything in float32; a plugin's mixed precision overrides what differs.

    ``scaler`` multiplies the loss before and divides the gradients after differentiation; with one, the
    compiled update checks the gradients and skips itself when one is not finite.
    """

    def __init__(self) -> None:
        self.scaler: amp.LossScaler | None = None

    def prepare(self, model: nn.Cell) -> nn.Cell:
        """Return the network that the update differentiates; it shares its weights with ``model``."""
        return model

    def state(self) -> dict[str, ms.Parameter]:
        """Return what a checkpoint must hold for an exact resume."""
        return {}

    def loss_scale(self) -> float:
        """Return the present scale of the loss."""
        return 1.0
