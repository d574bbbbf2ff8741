"""Learning-rate schedules: pure functions from a step to a factor of the base learning rate.

Each registered function returns ``factor(step)``, where ``step`` is the number of finished updates, so
that the first update uses ``factor(0)`` and the last ``factor(max_steps - 1)``. Nothing is saved and
nothing can be multiplied twice on resume. ``max_steps`` is filled in by ``build.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from srtrain.errors import RecipeError
from srtrain.registry import SCHEDULES

Schedule = Callable[[int], float]


@SCHEDULES.register("constant")
def constant(warmup: int = 0) -> Schedule:
    """The base learning rate throughout, after a linear warm-up."""
    return _warmed(lambda step: 1.0, warmup)


@SCHEDULES.register("milestones")
def milestones(at: tuple[int, ...], gamma: float = 0.5, warmup: int = 0) -> Schedule:
    """Multiply by ``gamma`` when ``at[k]`` updates are finished (EDSR section 4.2: halve every 2e5).

    Raises:
        RecipeError: milestones that do not rise.
    """
    if any(a >= b for a, b in pairwise((0, *at))):
        raise RecipeError(f"the milestones of a schedule must rise from above 0, but at={at!r}.")
    return _warmed(lambda step: gamma ** sum(step >= milestone for milestone in at), warmup)


@SCHEDULES.register("halve_every")
def halve_every(period: int, gamma: float = 0.5, warmup: int = 0) -> Schedule:
    """Multiply by ``gamma`` each ``period`` updates, for as long as the run lasts."""
    if period < 1:
        raise RecipeError(f"the period of halve_every must be at least 1 step, but is {period!r}.")
    return _warmed(lambda step: gamma ** (step // period), warmup)


@SCHEDULES.register("cosine")
def cosine(max_steps: int, final: float = 0.0, warmup: int = 0) -> Schedule:
    """Half a cosine from 1 at the end of the warm-up to ``final`` at ``max_steps``."""

    def factor(step: int) -> float:
        progress = min(1.0, max(0, step - warmup) / max(1, max_steps - warmup))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return _warmed(factor, warmup)


def _warmed(factor: Schedule, warmup: int) -> Schedule:
    """Rise linearly to ``factor`` over the first ``warmup`` updates; the first update is not zero."""
    if warmup < 0:
        raise RecipeError(f"warmup must be 0 steps or more, but is {warmup!r}.")
    return lambda step: factor(step) * (min(1.0, (step + 1) / warmup) if warmup else 1.0)
