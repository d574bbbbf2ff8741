"""A learning rate that drops at given steps."""

from __future__ import annotations

from itertools import pairwise

from srtrain.errors import RecipeError
from srtrain.trainer.schedules import SCHEDULES
from srtrain.trainer.schedules.warmup import Schedule, warmed


@SCHEDULES.register("milestones")
def milestones(at: tuple[int, ...], gamma: float = 0.5, warmup: int = 0) -> Schedule:
    """Multiply by ``gamma`` when ``at[k]`` updates are finished (EDSR section 4.2: halve every 2e5).

    Args:
        at: rising numbers of finished updates.
        gamma: factor of each drop.
        warmup: number of updates over which the rate rises linearly from almost 0.

    Raises:
        RecipeError: the milestones do not rise.
    """
    if any(a >= b for a, b in pairwise((0, *at))):
        raise RecipeError(f"the milestones of a schedule must rise from above 0, but at={at!r}.")
    return warmed(lambda step: gamma ** sum(step >= milestone for milestone in at), warmup)
