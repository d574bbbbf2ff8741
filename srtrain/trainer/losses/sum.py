"""A sum of losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindspore import Tensor, nn

from srtrain.errors import RecipeError
from srtrain.trainer.losses import LOSSES


@LOSSES.register("sum")
class SumLoss(nn.Cell):
    """A weighted sum of other losses: ``loss=sum loss.l1=1 loss.fft=0.05``.

    Args:
        parts: weights by the names of the losses. In place of a weight there may be ``{"weight": 0.05, …}`` with the
            arguments of that loss.

    Raises:
        RecipeError: no part, or a weight that is no number.
    """

    def __init__(self, **parts: float | Mapping[str, Any]) -> None:
        super().__init__()
        if not parts:
            raise RecipeError(
                "the loss 'sum' needs the weights of other losses, as in loss=sum loss.l1=1 loss.fft=0.05."
            )
        given = {name: dict(p) if isinstance(p, Mapping) else {"weight": p} for name, p in parts.items()}
        weights = {name: part.pop("weight", None) for name, part in given.items()}
        for name, weight in weights.items():
            if isinstance(weight, bool) or not isinstance(weight, (int, float)):
                raise RecipeError(f"loss.{name}: the weight of a loss is a number, not {weight!r}.")
        self.weights = tuple(weights.values())
        self.parts = nn.CellList([LOSSES.build(name, **part) for name, part in given.items()])

    def construct(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Return a scalar."""
        total = self.weights[0] * self.parts[0](sr, gt)
        for k in range(1, len(self.weights)):
            total = total + self.weights[k] * self.parts[k](sr, gt)
        return total
