from __future__ import annotations

import math
from xml.etree.ElementTree import tostring

import numpy as np
import pytest
from srtrain_plugins.esr.report.drawing import Scale, clean, element, scale_of, step_line, ticks


def test_an_element_escapes_text_and_attributes() -> None:
    # HTML lets a < stand in an attribute.
    node = element(
        "a", "x < y & ", element("b", "<i>"), "</a>", title='"<&', class_="k", text_anchor="end", n=None
    )
    written = tostring(node, encoding="unicode", method="html")
    assert written == (
        '<a title="&quot;<&amp;" class="k" text-anchor="end">x &lt; y &amp; <b>&lt;i&gt;</b>&lt;/a&gt;</a>'
    )


def test_numbers_are_rounded_to_a_tenth() -> None:
    assert element("p", x=1234.5678, y=2.0, k=3).attrib == {"x": "1234.6", "y": "2", "k": "3"}


def test_text_keeps_letters_of_all_kinds_and_loses_what_no_page_may_hold() -> None:
    assert clean("größer ×2 日本\n\tx") == "größer ×2 日本\n\tx"
    assert clean("\x1b[31mred\x00 \udc80") == "[31mred \\udc80"


def test_a_scale_maps_linearly_and_keeps_outliers_on_the_border() -> None:
    scale = Scale(10, 20, 300, 100)
    assert [scale(v) for v in (10, 15, 20, 9, 99)] == [300, 200, 100, 300, 100]


@pytest.mark.parametrize("values", [[33.1], [0.0, 0.0], [5.0, -5.0], [320_000, 320_000]])
def test_a_scale_has_room_around_all_values(values: list[float]) -> None:
    scale = scale_of(values, 0, 100)
    assert scale.low < min(values) <= max(values) < scale.high
    assert all(0 < scale(v) < 100 for v in values)


def test_ticks_are_few_round_and_within() -> None:
    rng = np.random.default_rng(3)
    for _ in range(500):
        low = float(rng.normal() * 10.0 ** rng.integers(-2, 6))
        high = low + float(10 ** rng.uniform(-3, 6))
        found = ticks(low, high)
        assert 1 <= len(found) <= 6
        values = [value for value, _ in found]
        margin = (high - low) * 1e-6
        assert low - margin <= values[0]
        assert values[-1] <= high + margin
        if len(values) > 1:
            step = values[1] - values[0]
            digit = step / 10 ** math.floor(math.log10(step) + 1e-9)
            assert min(abs(digit - d) for d in (1, 2, 5)) < 1e-3
        words = [text for _, text in found]
        assert len(set(words)) == len(words)
        assert all(abs(float(t.replace(",", "")) - v) <= margin for v, t in found)


def test_whole_ticks_have_no_fractions() -> None:
    assert ticks(-0.6, 2.4, whole=True) == [(0, "0"), (1, "1"), (2, "2")]


def test_a_step_line_keeps_each_height_until_the_next_point() -> None:
    assert (
        step_line([(10, 50), (20, 40), (35, 5)], 90, "front").get("d") == "M10.0 50.0H20.0V40.0H35.0V5.0H90.0"
    )
