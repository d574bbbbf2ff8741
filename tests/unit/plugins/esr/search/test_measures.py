from __future__ import annotations

import pytest
from srtrain_plugins.esr.search.measures import MEASURES, lines, origin
from srtrain_plugins.esr.search.types import DIRECTIONS


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("psnr", 37.8534, "37.853 dB"),
        ("parameters", 520_595.0, "520,595"),
        ("multi_adds", 73.44e9, "73.4 G"),
        ("latency", 0.01234, "12.3 ms"),
    ],
)
def test_each_number_has_its_form(name: str, value: float, text: str) -> None:
    assert MEASURES[name].text(value) == text


def test_every_objective_there_is_can_be_shown() -> None:
    assert set(MEASURES) == set(DIRECTIONS)


def test_lines_leave_out_what_was_not_measured() -> None:
    assert list(lines({"parameters": 9.0, "psnr": 30.0})) == [("PSNR", "30.000 dB"), ("parameters", "9")]


def test_origin_names_the_parents(member) -> None:
    assert [origin(member(9, parents=p)[0]) for p in ((), (3,), (3, 5))] == [
        "random",
        "mutation of 3",
        "crossover of 3 and 5",
    ]
