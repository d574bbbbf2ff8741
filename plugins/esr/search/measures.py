"""Labels and number formats of the objectives, and the text of an individual's origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .types import Individual


@dataclass(frozen=True)
class Measure:
    """How the values of an objective are shown.

    Attributes:
        unit: unit of the number shown; empty for a count.
        per_unit: value of one unit; 1e9 if the number is shown in billions.
        decimals: digits after the decimal point.
    """

    label: str
    unit: str
    per_unit: float
    decimals: int

    def shown(self, value: float) -> float:
        """Return the value in the unit that is shown, not rounded."""
        return value / self.per_unit

    def text(self, value: float) -> str:
        """Return ``37.853 dB``, ``520,595`` or the like."""
        return f"{self.shown(value):,.{self.decimals}f} {self.unit}".rstrip()

    @property
    def axis(self) -> str:
        """The label of an axis."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


MEASURES = {
    "psnr": Measure("PSNR", "dB", 1, 3),
    "parameters": Measure("parameters", "", 1, 0),
    "multi_adds": Measure("multi-adds", "G", 1e9, 1),
    "latency": Measure("latency", "ms", 1e-3, 1),
}
"""By the names of ``DIRECTIONS``."""


def lines(values: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield the label and the text of each value, PSNR first."""
    for name, measure in MEASURES.items():
        if name in values:
            yield measure.label, measure.text(values[name])


def origin(individual: Individual) -> str:
    """Return ``random``, ``mutation of 3`` or the like."""
    if not individual.parents:
        return individual.origin
    return f"{individual.origin} of {' and '.join(map(str, individual.parents))}"
