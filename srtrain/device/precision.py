"""How numbers are stored and scaled during training. The base class is float32, which is the default."""

from __future__ import annotations

import mindspore as ms
from mindspore import amp, nn

from srtrain.device import PRECISIONS
from srtrain.device.finite import FiniteCheck


@PRECISIONS.register("float32")
class Precision:
    """Training in float32. Mixed precision in a plugin overrides what differs.

    Attributes:
        scaler: multiplies the loss before differentiation and divides the gradients after it; ``None`` for no loss
            scaling. With a scaler, the compiled update checks the gradients and skips an update that is not finite.
        finite: tells whether gradients are finite; the backend supplies the check for its device.
    """

    def __init__(self) -> None:
        self.scaler: amp.LossScaler | None = None
        self.finite = FiniteCheck()

    def prepare(self, model: nn.Cell) -> nn.Cell:
        """Return the network that the update differentiates; it shares its weights with ``model``."""
        return model

    def state(self) -> dict[str, ms.Parameter]:
        """Return the Parameters that a checkpoint needs for an exact resume."""
        return {}

    def loss_scale(self) -> float:
        """Return the current loss scale."""
        return 1.0
