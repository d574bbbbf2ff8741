"""A learning rate that falls along half a cosine."""

from __future__ import annotations

import math

from srtrain.trainer.schedules import SCHEDULES
from srtrain.trainer.schedules.warmup import Schedule, warmed


@SCHEDULES.register("cosine", from_run=("max_steps",))
def cosine(max_steps: int, final: float = 0.0, warmup: int = 0) -> Schedule:
    """Fall along half a cosine, from 1 at the end of the warm-up to ``final`` at ``max_steps``.

    Args:
        max_steps: from the run: its length in updates.
        final: factor at the end of the run.
        warmup: number of updates over which the rate rises linearly from almost 0.
    """

    def factor(step: int) -> float:
        progress = min(1.0, max(0, step - warmup) / max(1, max_steps - warmup))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return warmed(factor, warmup)
