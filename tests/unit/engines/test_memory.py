"""Parsing memory sizes, and measuring the memory of this process."""

import numpy as np
import pytest

from srtrain.engines.memory import Gauge, parse_bytes, resident_bytes
from srtrain.errors import RecipeError


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("1.5GB", 1_500_000_000),
        ("800 mb", 800_000_000),
        ("2GiB", 2**31),
        ("64k", 64_000),
        ("1000", 1000),
        (".5g", 5e8),
    ],
)
def test_amounts(text, n_bytes):
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "0.0GB", "1.5TB", "GB", "1,5GB", "2i"])
def test_what_is_no_amount(text):
    with pytest.raises(RecipeError, match=r"is not an amount of memory; write it as 1\.5GB"):
        parse_bytes(text)


def test_a_gauge_sees_what_was_held_for_a_moment():
    before = resident_bytes()
    gauge = Gauge()
    assert abs(gauge.base_bytes - before) < 20_000_000
    assert gauge.bytes_per_px == 40_000  # nothing is known yet
    np.ones(25_000_000)  # 200 MB, gone at once
    gauge.ran(100_000)
    gauge.ran(10)
    assert 1900 < gauge.bytes_per_px < 2200


def test_a_gauge_that_saw_nothing_grow_stays_careful():
    gauge = Gauge()
    gauge.ran(10_000_000)
    assert gauge.bytes_per_px == 1000
