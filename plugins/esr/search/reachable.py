"""Which parameter counts rows of blocks can have: the proof that a window is empty, or a way into it.

A set of counts is a Python integer whose bit ``t`` says whether ``t`` units are in it, so that adding a block's cost to
all of a set is one shift, and the union of two sets one ``|``. A unit is the largest number that divides all costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


class Reachable:
    """A dynamic programme over the number of blocks and the width of their input.

    ``sets[n][w]`` holds every sum of costs that a row of exactly ``n`` blocks can have behind an input of width ``w``.

    Args:
        cost: of each kind of block (row) behind each width (column).
        out: for each kind, the width of its output, as a column of ``cost``.
        n_most: most blocks in a row.
    """

    def __init__(self, cost: Int64, out: Int64, n_most: int) -> None:
        self.unit = math.gcd(*cost.ravel().tolist()) or 1
        self.cost: list[list[int]] = (cost // self.unit).tolist()
        self.out: list[int] = out.tolist()
        n_widths = cost.shape[1]
        # Kinds of the same cost and output are one here.
        steps = [set(zip((row[w] for row in self.cost), self.out, strict=True)) for w in range(n_widths)]
        self.sets = [[1] * n_widths]
        for _ in range(n_most):
            shorter = self.sets[-1]
            self.sets.append(
                [_union(shorter[out] << cost for cost, out in steps[w]) for w in range(n_widths)]
            )

    def reaches(self, n: int, width: int, low: int, high: int) -> bool:
        """Whether ``n`` blocks behind ``width`` can cost ``low`` to ``high`` parameters."""
        return _meets(self.sets[n][width], *self._units(low, high))

    def rows(
        self, n: int, width: int, low: int, high: int, order: Callable[[], list[int]]
    ) -> Iterator[tuple[int, ...]]:
        """Yield every row of ``n`` kinds behind ``width`` that costs ``low`` to ``high``, never trying one in vain.

        Args:
            order: asked at each block for the kinds in the order in which to try them.
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
        """Return the least and the greatest cost of rows of these lengths, and the nearest below and above a window."""
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
    """Whether a set has a member from ``low`` to ``high``, in units."""
    low = max(low, 0)
    return high >= low and (reachable >> low) & ((1 << (high - low + 1)) - 1) != 0


def _lowest(reachable: int) -> int:
    return (reachable & -reachable).bit_length() - 1
