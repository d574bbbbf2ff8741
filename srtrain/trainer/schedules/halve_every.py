"""A learning rate that drops at a fixed period."""

from __future__ import annotations

from srtrain.errors import RecipeError
from srtrain.trainer.schedules import SCHEDULES
from srtrain.trainer.schedules.warmup import Schedule, warmed


@SCHEDULES.register("halve_every")
def halve_every(period: int, gamma: float = 0.5, warmup: int = 0) -> Schedule:
    """Multiply by ``gamma`` after every ``period`` updates.

    Args:
        period: updates between two drops, 1 or more.
        gamma: factor of each drop.
        warmup: number of updates over which the rate rises linearly from almost 0.

    Raises:
        RecipeError: ``period`` is below 1.
    """
    if period < 1:
        raise RecipeError(f"the period of halve_every must be at least 1 step, but is {period!r}.")
    return warmed(lambda step: gamma ** (step // period), warmup)
