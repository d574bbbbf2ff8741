"""What the objectives are called, and how their numbers and an individual's origin are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .types import Individual


@dataclass(frozen=True)
class Measure:
    """How a value is shown.

    Attributes:
        unit: of the number shown; empty where it is a plain number.
        per_unit: what one unit is in the values that travel: 1e9 where billions are shown.
        decimals: digits after the point.
    """

    label: str
    unit: str
    per_unit: float
    decimals: int

    def shown(self, value: float) -> float:
        """Return the number that stands before the unit, not rounded."""
        return value / self.per_unit

    def text(self, value: float) -> str:
        """Return ``37.853 dB``, ``520,595`` or the like."""
        return f"{self.shown(value):,.{self.decimals}f} {self.unit}".rstrip()

    @property
    def axis(self) -> str:
        """What stands beside an axis."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


MEASURES = {
    "psnr": Measure("PSNR", "dB", 1, 3),
    "parameters": Measure("parameters", "", 1, 0),
    "multi_adds": Measure("multi-adds", "G", 1e9, 1),
    "latency": Measure("latency", "ms", 1e-3, 1),
}
"""By the names of ``DIRECTIONS``."""


def lines(values: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield label and text of those values that there are, PSNR first."""
    for name, measure in MEASURES.items():
        if name in values:
            yield measure.label, measure.text(values[name])


def origin(individual: Individual) -> str:
    """Return ``random``, ``mutation of 3`` or the like."""
    if not individual.parents:
        return individual.origin
    return f"{individual.origin} of {' and '.join(map(str, individual.parents))}"
