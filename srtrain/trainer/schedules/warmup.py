"""The linear warm-up that every schedule offers."""

from __future__ import annotations

from collections.abc import Callable

from srtrain.errors import RecipeError

Schedule = Callable[[int], float]


def warmed(factor: Schedule, warmup: int) -> Schedule:
    """Return ``factor`` with a linear rise over the first ``warmup`` updates; the first update is above zero.

    Raises:
        RecipeError: ``warmup`` is negative.
    """
    if warmup < 0:
        raise RecipeError(f"warmup must be 0 steps or more, but is {warmup!r}.")
    return lambda step: factor(step) * (min(1.0, (step + 1) / warmup) if warmup else 1.0)
