from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from srtrain_plugins.esr.report.charts import (
    MOST_COLUMNS,
    MOST_KINDS,
    credit,
    fitness,
    front,
    hypervolume,
    lineage,
)
from srtrain_plugins.esr.search.types import Generation


def circles(drawing: Element, *classes: str) -> dict[int, Element]:
    """Return the points that have a title, by their individual's number; only those of the classes, if given."""
    return {
        int(re.match(r"No\. (\d+),", c.find("title").text)[1]): c
        for c in drawing.iter("circle")
        if c.find("title") is not None and set(classes) <= set(c.get("class").split())
    }


def at(circle: Element) -> tuple[float, float]:
    return float(circle.get("cx")), float(circle.get("cy"))


def path(drawing: Element, class_: str) -> str:
    found = [p.get("d") for p in drawing.iter("path") if class_ in p.get("class", "").split()]
    # The first is the drawing's, another one may be the legend's.
    return found[0]


def steps(d: str) -> list[tuple[float, float]]:
    """Return the corners of a step line that are data points: its start, and each rise."""
    x, y = re.match(r"M(\S+) ([\d.]+)", d).groups()
    return [(float(x), float(y)), *((float(a), float(b)) for a, b in re.findall(r"H([\d.]+)V([\d.]+)", d))]


def words(node: Element) -> str:
    return " ".join("".join(node.itertext()).split())


def test_the_front_has_all_that_have_a_score_and_marks_those_it_is_told(evolved) -> None:
    drawing = front(evolved.generations, evolved.pareto, "parameters", "psnr")
    assert set(circles(drawing)) == set(range(12)) - {6}
    assert set(circles(drawing, "chosen")) == set(evolved.pareto)


def test_points_lie_where_their_values_are(evolved) -> None:
    drawing = front(evolved.generations, evolved.pareto, "parameters", "psnr")
    points = {number: at(circle) for number, circle in circles(drawing).items()}
    values = {i.number: o.objectives for g in evolved.generations for i, o in g.members if not o.failed}
    # The mean slope between two of them foretells all others.
    (x1, y1), (x8, y8) = points[1], points[8]
    for number, value in values.items():
        x = x1 + (value["parameters"] - 315_500) / (322_000 - 315_500) * (x8 - x1)
        y = y1 + (value["psnr"] - 32.1) / (33.4 - 32.1) * (y8 - y1)
        assert points[number] == pytest.approx((x, y), abs=0.2)
    assert x8 > x1
    assert y8 < y1


def test_the_step_line_joins_the_front_from_the_smallest_to_the_best(evolved) -> None:
    drawing = front(evolved.generations, evolved.pareto, "parameters", "psnr")
    points = circles(drawing)
    # In order of size: 1, 0, 7, then 2 with 320 000, 4, 8.
    expected = [at(points[number]) for number in (1, 0, 7, 2, 4, 8)]
    np.testing.assert_allclose(steps(path(drawing, "front")), expected, atol=0.1)


def test_the_step_line_never_goes_down_where_the_front_is_one_of_more_objectives(member) -> None:
    # No. 1 is on the front for its latency alone: larger and worse than No. 0.
    made = [member(0, 33.0, parameters=100), member(1, 32.0, parameters=200), member(2, 34.0, parameters=300)]
    drawing = front([Generation(tuple(made), (), {})], (0, 1, 2), "parameters", "psnr")
    points = circles(drawing)
    assert set(circles(drawing, "chosen")) == {0, 1, 2}
    np.testing.assert_allclose(steps(path(drawing, "front")), [at(points[0]), at(points[2])], atol=0.1)


def test_with_two_costs_the_lower_is_the_better(member) -> None:
    made = [
        member(k, multi_adds=m * 1e9, latency=s)
        for k, (m, s) in enumerate([(50, 0.030), (60, 0.020), (70, 0.025), (80, 0.010)])
    ]
    drawing = front([Generation(tuple(made), (), {})], (0, 1, 2, 3), "multi_adds", "latency")
    points = circles(drawing)
    np.testing.assert_allclose(steps(path(drawing, "front")), [at(points[k]) for k in (0, 1, 3)], atol=0.1)
    assert at(points[3])[1] > at(points[0])[1]


def test_a_point_of_the_front_says_its_blocks_and_values(evolved) -> None:
    drawing = front(evolved.generations, evolved.pareto, "parameters", "psnr")
    assert circles(drawing)[8].find("title").text == (
        "No. 8, generation 2\nPSNR 33.400 dB\nparameters 322,000\nmulti-adds 73.4 G\ncrossover of 4 and 7\n"
        "S_4_8_16 C_4_8_8 G_4_16_24"
    )


def test_later_generations_have_more_of_the_later_colour(evolved) -> None:
    drawing = front(evolved.generations, evolved.pareto, "parameters", "psnr")
    points = circles(drawing)
    assert [points[n].get("style") for n in (0, 5, 8)] == [f"--late-share:{p}%" for p in (0, 50, 100)]


def test_fitness_shows_all_the_best_so_far_and_the_median(member) -> None:
    made = [
        Generation(tuple(member(4 * g + k, value, g) for k, value in enumerate(values)), (), {})
        for g, values in enumerate(
            [(30.0, 31.0, 32.0, 35.0), (30.0, 31.0, 33.0, 34.0), (31.0, 32.0, 34.0, 36.0)]
        )
    ]
    figure = fitness(made, "psnr", 20)
    points = {number: at(circle) for number, circle in circles(figure).items()}
    assert set(points) == set(range(12))
    height = {30.0: points[0][1], 35.0: points[3][1], 36.0: points[11][1]}
    per_db = (height[30.0] - height[36.0]) / 6
    best = [y for _, y in steps(path(figure, "best"))]
    assert best == pytest.approx([height[35.0], height[35.0], height[36.0]], abs=0.1)
    medians = [float(y) for y in re.findall(r"[ML]\S+ ([\d.]+)", path(figure, "median"))]
    assert medians[::2] == medians[1::2]
    assert medians[::2] == pytest.approx(
        [height[30.0] - per_db * above for above in (1.5, 2.0, 3.0)], abs=0.2
    )


def test_a_failed_one_is_a_cross_in_its_generation_below_all_others(evolved) -> None:
    for figure in (fitness(evolved.generations, "psnr", 20), lineage(evolved.generations, "psnr", 8)):
        crosses = [
            p for p in figure.iter("path") if p.get("class") == "failed" and "No. 6," in p.find("title").text
        ]
        assert len(crosses) == 1
        assert "failed: the loss was NaN at step 12" in crosses[0].find("title").text
        x, y = (float(v) + 3.5 for v in re.match(r"M(\S+) (\S+)l", crosses[0].get("d")).groups())
        points = {number: at(circle) for number, circle in circles(figure).items()}
        assert points[5][0] < x < points[7][0]
        assert y > max(height for _, height in points.values())
        assert "failed (1)" in words(figure)


def test_one_far_below_the_others_does_not_press_them_together(member) -> None:
    values = [33.0, 33.1, 33.2, 33.3, 33.0, 33.1, 33.2, 33.3, 12.0]
    made = [Generation(tuple(member(k, v) for k, v in enumerate(values)), (), {})]
    figure = fitness(made, "psnr", 1)
    points = circles(figure)
    heights = [at(points[k])[1] for k in range(9)]
    assert heights[0] - heights[3] > 200
    assert heights[8] == max(heights)
    assert "PSNR 12.000 dB" in points[8].find("title").text
    assert "1 far below the others" in words(figure)


@pytest.mark.parametrize("pareto", [(3,), (3, 8)])
def test_the_front_is_drawn_where_it_is_and_others_may_be_on_the_border(
    member, pareto: tuple[int, ...]
) -> None:
    values = [33.0, 33.1, 33.2, 33.3, 33.0, 33.1, 33.2, 33.3, 12.0]
    made = [Generation(tuple(member(k, v, parameters=300.0 - 10 * k) for k, v in enumerate(values)), (), {})]
    figure = front(made, pareto, "parameters", "psnr")
    points = circles(figure)
    per_db = (at(points[8])[1] - at(points[3])[1]) / (33.3 - 12.0)
    drawn_true = abs((at(points[0])[1] - at(points[3])[1]) / 0.3 - per_db) < 1
    assert drawn_true == (8 in pareto)
    assert ("1 far below the others, drawn at the lower end" in words(figure)) == (8 not in pareto)


def test_lineage_draws_a_line_for_each_parent_and_lights_the_ancestors_of_the_best(evolved) -> None:
    figure = lineage(evolved.generations, "psnr", 8)
    assert set(circles(figure)) == set(range(12)) - {6}
    assert set(circles(figure, "top")) == {8}
    # 8 is of 4 and 7, which are of 2, and of 2 and 1.
    assert set(circles(figure, "ancestor")) == {4, 7, 2, 1}
    assert path(figure, "ancestors").count("M") == 5
    assert path(figure, "kin").count("M") == 4  # 5 of 0; 9, 10 and 11 of 4; the failed one has no line


def test_hypervolume_is_drawn_where_there_is_one(evolved, member) -> None:
    drawing = hypervolume(evolved.generations, 20)
    titles = [c.find("title").text for c in drawing.iter("circle")]
    assert titles == ["generation 0: 1.0000", "generation 1: 1.2000", "generation 2: 1.5000"]
    heights = [float(c.get("cy")) for c in drawing.iter("circle")]
    assert heights == sorted(heights, reverse=True)
    assert hypervolume([Generation((member(0),), (0,), {})], 20) is None


def credits(*values: dict[str, float]) -> list[Generation]:
    return [Generation((), (), value) for value in values]


def rows(figure: Element, names: Iterable[str]) -> list[str]:
    return [t.text for t in figure.iter("text") if t.text in set(names)]


def test_credit_has_a_row_a_kind_that_ever_differs_by_type_and_last_credit() -> None:
    first = {"S_4_8_8": 1.0, "G_4_8_8": 1.5, "S_8_8_8": 1.0, "G_8_8_8": 1.0, "C_4_8_8": 1.0}
    last = first | {"S_8_8_8": 2.0, "S_4_8_8": 0.25, "G_4_8_8": 1.0}
    figure = credit(credits(first, last))
    assert rows(figure, first) == ["G_4_8_8", "S_8_8_8", "S_4_8_8"]
    cells = {r.find("title").text: (r.get("class"), r.get("style")) for r in figure.iter("rect")}
    assert len(cells) == 6
    assert cells["S_8_8_8, generation 1: 2.00"] == ("more", "--much:50%")
    assert cells["S_4_8_8, generation 1: 0.25"] == ("less", "--much:100%")
    assert cells["S_4_8_8, generation 0: 1.00"][1] == "--much:0%"
    assert "5 kinds of blocks. 2 that never differ from 1 are not shown." in words(figure)
    assert "÷ 4.0× 4.0" in words(figure)


def test_credit_leaves_out_the_weakest_of_too_many_and_says_so() -> None:
    names = [f"S_{n}_8_8" for n in range(1, MOST_KINDS + 6)]
    figure = credit(credits({name: 1 + 0.01 * k for k, name in enumerate(names, 1)}))
    assert set(rows(figure, names)) == set(names[5:])
    assert f"5 that differ less than these {MOST_KINDS} are not shown." in words(figure)


def test_credit_of_many_generations_leaves_some_out_but_never_the_last() -> None:
    n = 2 * MOST_COLUMNS + 1
    figure = credit(credits(*({"S_4_8_8": 1.0 + k} for k in range(n))))
    shown = [int(re.search(r"generation (\d+)", r.find("title").text)[1]) for r in figure.iter("rect")]
    assert shown == [k for k in range(n) if (n - 1 - k) % 3 == 0]
    assert shown[-1] == n - 1
    assert "One generation in 3 is shown." in words(figure)


def test_credit_that_is_uniform_is_a_sentence() -> None:
    said = credit(credits({"S_4_8_8": 1.0, "G_4_8_8": 1.0}))
    assert said.tag == "p"
    assert "drawn with the probabilities of the space" in said.text


def test_nothing_is_drawn_of_nothing(facts, member) -> None:
    failed = facts([member(0, reason="x"), member(1, reason="y")]).generations
    for generations in ([], failed):
        assert fitness(generations, "psnr", 20).text == "No candidate has a score."
        assert lineage(generations, "psnr", None).text == "No candidate has a score."
        assert front(generations, (), "parameters", "psnr").text == "No candidate has a score."
    assert credit([]).text == "No generation has finished yet."
