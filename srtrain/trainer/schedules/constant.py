"""A constant learning rate."""

from __future__ import annotations

from srtrain.trainer.schedules import SCHEDULES
from srtrain.trainer.schedules.warmup import Schedule, warmed


@SCHEDULES.register("constant")
def constant(warmup: int = 0) -> Schedule:
    """Keep the base learning rate after a linear warm-up.

    Args:
        warmup: number of updates over which the rate rises linearly from almost 0.
    """
    return warmed(lambda step: 1.0, warmup)
