"""The dynamic programme, compared with all rows of a small random problem."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from srtrain_plugins.esr.search.reachable import Reachable

N_KINDS, N_WIDTHS, N_MOST = 5, 3, 4


@pytest.fixture(params=[1, 8], ids=lambda unit: f"multiples of {unit}")
def problem(request):
    rng = np.random.default_rng(request.param)
    cost = rng.integers(1, 60, (N_KINDS, N_WIDTHS)) * request.param
    return cost, rng.integers(N_WIDTHS, size=N_KINDS)


def every_row(cost, out, n, width):
    """Map each row of ``n`` kinds to its cost after ``width`` channels."""
    costs = {}
    for row in product(range(N_KINDS), repeat=n):
        total, at = 0, width
        for kind in row:
            total, at = total + int(cost[kind, at]), int(out[kind])
        costs[row] = total
    return costs


def test_it_finds_exactly_the_rows_in_a_window(problem):
    cost, out = problem
    reachable = Reachable(cost, out, N_MOST)
    for n, width in product(range(N_MOST + 1), range(N_WIDTHS)):
        costs = every_row(cost, out, n, width)
        middle = int(np.median(list(costs.values())))
        for low, high in ((0, 10**6), (middle, middle), (middle + 1, middle + 3), (-50, middle), (-9, -1)):
            expected = {row for row, total in costs.items() if low <= total <= high}
            found = list(reachable.rows(n, width, low, high, lambda: list(range(N_KINDS))))
            assert set(found) == expected
            assert len(found) == len(expected)
            assert reachable.reaches(n, width, low, high) == bool(expected)


def test_rows_come_in_the_order_asked_for(problem):
    reachable = Reachable(*problem, N_MOST)
    backwards = list(reversed(range(N_KINDS)))
    rows = list(reachable.rows(3, 0, 0, 10**6, lambda: backwards))
    assert rows == sorted(rows, reverse=True)


def test_it_says_what_lies_around_a_window(problem):
    cost, out = problem
    totals = sorted({t for n in (2, 3) for t in every_row(cost, out, n, 1).values()})
    reachable = Reachable(cost, out, N_MOST)
    gap = next(k for k in range(len(totals) // 3, len(totals) - 1) if totals[k + 1] - totals[k] > 1)
    below, above = totals[gap], totals[gap + 1]
    around = reachable.around(range(2, 4), 1, below + 1, above - 1)
    assert around == (totals[0], totals[-1], below, above)
    assert reachable.around(range(2, 4), 1, totals[-1] + 1, 10**6)[2:] == (totals[-1], None)
    assert reachable.around(range(2, 4), 1, -10, -1)[2:] == (None, totals[0])
