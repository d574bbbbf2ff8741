"""The parameter counts that sequences of blocks can have: shows that a window is empty, or finds a network in it.

A set of counts is stored as a Python integer: bit ``t`` is set if ``t`` units are in the set. Adding the cost of a
block to every member is then one shift, and the union of two sets is one ``|``. A unit is the greatest common divisor
of all costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


class Reachable:
    """A dynamic programme over the number of blocks and the width of their input.

    ``sets[n][w]`` is the set of total costs of all sequences of exactly ``n`` blocks with an input of width ``w``.

    Args:
        cost: parameters of each kind of block (row) for each width of its input (column).
        out: for each kind, the column of ``cost`` that belongs to the width of its output.
        n_most: largest number of blocks in a sequence.
    """

    def __init__(self, cost: Int64, out: Int64, n_most: int) -> None:
        self.unit = math.gcd(*cost.ravel().tolist()) or 1
        self.cost: list[list[int]] = (cost // self.unit).tolist()
        self.out: list[int] = out.tolist()
        n_widths = cost.shape[1]
        # Kinds with the same cost and output width are the same step here.
        steps = [set(zip((row[w] for row in self.cost), self.out, strict=True)) for w in range(n_widths)]
        self.sets = [[1] * n_widths]
        for _ in range(n_most):
            shorter = self.sets[-1]
            self.sets.append(
                [_union(shorter[out] << cost for cost, out in steps[w]) for w in range(n_widths)]
            )

    def reaches(self, n: int, width: int, low: int, high: int) -> bool:
        """Return whether some sequence of ``n`` blocks after ``width`` has ``low`` to ``high`` parameters."""
        return _meets(self.sets[n][width], *self._units(low, high))

    def rows(
        self, n: int, width: int, low: int, high: int, order: Callable[[], list[int]]
    ) -> Iterator[tuple[int, ...]]:
        """Yield every sequence of ``n`` kinds after ``width`` with ``low`` to ``high`` parameters, without dead ends.

        Args:
            order: called at each block; returns the kinds in the order in which to try them.
        """
        if self.reaches(n, width, low, high):
            yield from self._rows(n, width, *self._units(low, high), order)

    def _rows(
        self, n: int, width: int, low: int, high: int, order: Callable[[], list[int]]
    ) -> Iterator[tuple[int, ...]]:
        if n == 0:
            yield ()
            return
        for kind in order():
            cost, out = self.cost[kind][width], self.out[kind]
            if _meets(self.sets[n - 1][out], low - cost, high - cost):
                for rest in self._rows(n - 1, out, low - cost, high - cost, order):
                    yield (kind, *rest)

    def around(
        self, lengths: range, width: int, low: int, high: int
    ) -> tuple[int, int, int | None, int | None]:
        """Return the smallest and the largest total, and the nearest totals below and above a window."""
        every = _union(self.sets[n][width] for n in lengths)
        least, most = self._units(low, high)
        under = every & ((1 << max(least, 0)) - 1)
        start = max(most + 1, 0)
        over = every >> start
        return (
            _lowest(every) * self.unit,
            (every.bit_length() - 1) * self.unit,
            (under.bit_length() - 1) * self.unit if under else None,
            (start + _lowest(over)) * self.unit if over else None,
        )

    def _units(self, low: int, high: int) -> tuple[int, int]:
        return -(-low // self.unit), high // self.unit


def _union(sets: Iterator[int]) -> int:
    union = 0
    for each in sets:
        union |= each
    return union


def _meets(reachable: int, low: int, high: int) -> bool:
    """Return whether a set has a member from ``low`` to ``high``, in units."""
    low = max(low, 0)
    return high >= low and (reachable >> low) & ((1 << (high - low + 1)) - 1) != 0


def _lowest(reachable: int) -> int:
    return (reachable & -reachable).bit_length() - 1
