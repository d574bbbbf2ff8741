"""The plots of the report: the Pareto front, fitness, hypervolume, credit and lineage of a search."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Sequence
from itertools import pairwise
from xml.etree.ElementTree import Element

from srtrain.models.esrn import BlockKind

from ..search.measures import MEASURES, lines, origin
from ..search.types import DIRECTIONS, Generation, Individual, Outcome
from .drawing import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Point,
    Scale,
    cross,
    dot,
    element,
    frame,
    polyline,
    scale_of,
    step_line,
    svg,
    text,
)

Member = tuple[Individual, Outcome]

NO_SCORE = "No candidate has a score."
"""Shown instead of a drawing without data."""

MOST_KINDS = 40
"""Largest number of rows of the credit map."""

MOST_COLUMNS = 50
"""Largest number of columns of the credit map; narrower columns would be hard to point at."""

MOST_DETAILED = 300
"""Up to this many individuals, every point shows its blocks; above, only points of the front do."""

_CREDIT = (
    "The probability that mutation draws a kind of block (type, convolutions, growth, output), divided by the "
    "probability without credit. Within each type, kinds are sorted by their last credit."
)

_WIDE = 960
_STRIP = 16  # pixels under the lowest value, where failed individuals are marked


def note(words: str) -> Element:
    """Return a sentence that is shown under a drawing or instead of one."""
    return element("p", words, class_="note")


def members(generations: Sequence[Generation]) -> list[Member]:
    """Return the individuals of all generations, in their order."""
    return [member for generation in generations for member in generation.members]


def hover(individual: Individual, outcome: Outcome, detailed: bool = False) -> str:
    """Return the text that a point shows about its individual."""
    said = [f"No. {individual.number}, generation {individual.generation}"]
    said += [f"{label} {value}" for label, value in lines(outcome.objectives)]
    if outcome.failed:
        said.append(f"failed: {outcome.reason[:200]}")
    if detailed:
        said += [origin(individual), " ".join(individual.blocks)]
    return "\n".join(said)


def front(generations: Sequence[Generation], pareto: Collection[int], x_name: str, y_name: str) -> Element:
    """Draw all individuals by two of their values, and highlight those in ``pareto``.

    If the front has several individuals, a step line shows the best ``y`` for each ``x``.
    """
    scored = [m for m in members(generations) if x_name in m[1].objectives and y_name in m[1].objectives]
    if not scored:
        return note(NO_SCORE)
    x_measure, y_measure = MEASURES[x_name], MEASURES[y_name]

    def shown(member: Member) -> Point:
        values = member[1].objectives
        return x_measure.shown(values[x_name]), y_measure.shown(values[y_name])

    x = scale_of((shown(m)[0] for m in scored), LEFT, WIDTH - RIGHT)
    within = _without_outliers([m[1].objectives[y_name] for m in scored], DIRECTIONS[y_name])
    # Individuals on the front are never moved to the border.
    on_front = [m[1].objectives[y_name] for m in scored if m[0].number in pareto]
    y = scale_of(map(y_measure.shown, [*within, *on_front]), HEIGHT - BOTTOM, TOP)
    latest = max(1, len(generations) - 1)
    marks: dict[bool, list[Element]] = {False: [], True: []}
    best: list[Point] = []
    for member in sorted(scored, key=shown):
        individual = member[0]
        chosen = individual.number in pareto
        at = shown(member)
        if chosen and (not best or (at[1] - best[-1][1]) * DIRECTIONS[y_name] > 0):
            best.append(at)
        late = f"--late-share:{individual.generation / latest:.0%}"
        title = hover(*member, detailed=chosen or len(scored) <= MOST_DETAILED)
        kind = "point chosen" if chosen else "point"
        place = (x(at[0]), y(at[1]))
        marks[chosen].append(dot(place, title, 5.5 if chosen else 4.0, class_=kind, style=late))
    steps = [step_line([(x(a), y(b)) for a, b in best], x.end, "front")] if len(pareto) > 1 and best else []
    name = f"{y_measure.label} against {x_measure.label}"
    axes = frame(x, y, x_measure.axis, y_measure.axis)
    drawing = svg(WIDTH, HEIGHT, name, axes, *marks[False], *steps, *marks[True])
    beyond = _beyond(sum(not y.low <= shown(m)[1] <= y.high for m in scored), DIRECTIONS[y_name])
    return element("figure", drawing, *([element("figcaption", beyond)] if beyond else []))


def _beyond(n: int, direction: int) -> str:
    """Return a note on the individuals that are drawn on the border; empty if there are none."""
    if not n:
        return ""
    if direction > 0:
        return f"{n} far below the others, drawn at the lower end"
    return f"{n} far above the others, drawn at the upper end"


class Timeline:
    """Axes of generation and fitness, and the position of each individual.

    Attributes:
        n_below: number of individuals that are so much worse than the others that they are drawn on the border.
    """

    def __init__(self, generations: Sequence[Generation], objective: str, n_columns: int, width: int) -> None:
        self.objective, self.width = objective, width
        self.measure = MEASURES[objective]
        self.scored = [m for m in members(generations) if objective in m[1].objectives]
        self.failed = [m for m in members(generations) if m[1].failed]
        values = [m[1].objectives[objective] for m in self.scored]
        within = _without_outliers(values, DIRECTIONS[objective])
        self.n_below = len(values) - len(within)
        self.x = Scale(-0.6, max(n_columns, len(generations)) - 0.4, LEFT, width - RIGHT)
        floor = HEIGHT - BOTTOM
        self.y = scale_of(map(self.measure.shown, within or [0]), floor - _STRIP, TOP)
        self.floor = Scale(self.y.low, self.y.high, floor, TOP)
        self._offsets = {
            individual.number: index + (k + 0.5) / len(generation.members) * 0.7 - 0.35
            for index, generation in enumerate(generations)
            for k, (individual, _) in enumerate(generation.members)
        }

    def place(self, member: Member) -> Point:
        """Return the position of an individual: beside its generation; failed ones in a strip below."""
        across = self.x(self._offsets[member[0].number])
        if member[1].failed:
            return across, self.floor.start - 6
        return across, self.height(member[1].objectives[self.objective])

    def height(self, value: float) -> float:
        """Return the vertical position of a value of the objective."""
        return self.y(self.measure.shown(value))

    def drawing(self, name: str, *content: Element, marks: Sequence[Element]) -> Element:
        """Return the drawing with axes, crosses for failed individuals, and ``marks`` on top."""
        y = Scale(self._low(), self.y.high, self.floor.start, TOP)
        axes = frame(self.x, y, "generation", self.measure.axis, whole_x=True)
        crosses = [cross(self.place(m), hover(*m)) for m in self.failed]
        return svg(self.width, HEIGHT, name, axes, *content, *crosses, *marks)

    def _low(self) -> float:
        """Return the value at the lower end of the axis, below the strip."""
        per_px = (self.y.high - self.y.low) / (self.y.start - self.y.end)
        return self.y.low - per_px * _STRIP


def _without_outliers(values: Sequence[float], direction: int) -> list[float]:
    """Return the values that are at most three interquartile ranges worse than the worse quartile."""
    if len(values) < 8:
        return list(values)
    good = sorted(value * direction for value in values)
    lower, _, upper = statistics.quantiles(good, n=4)
    fence = lower - 3 * (upper - lower)
    return [value * direction for value in good if value >= fence]


def fitness(generations: Sequence[Generation], objective: str, n_columns: int) -> Element:
    """Draw all individuals by generation, the best so far, and the median of each generation."""
    time = Timeline(generations, objective, n_columns, WIDTH)
    if not time.scored:
        return note(NO_SCORE)
    direction = DIRECTIONS[objective]
    best: list[Point] = []
    medians: list[Point] = []
    so_far: float | None = None
    for index, generation in enumerate(generations):
        values = [o.objectives[objective] for _, o in generation.members if objective in o.objectives]
        if not values:
            continue
        so_far = max([*values, *([] if so_far is None else [so_far])], key=lambda value: value * direction)
        best.append((time.x(index - 0.4), time.height(so_far)))
        median = time.height(statistics.median(values))
        medians += [(time.x(index - 0.3), median), (time.x(index + 0.3), median)]
    dots = [dot(time.place(m), hover(*m), 3.0, class_="point plain") for m in time.scored]
    end = time.x(len(generations) - 0.6)
    on_top = [polyline(medians, "median"), step_line(best, end, "best")]
    legend = [("line best", "best so far"), ("line median", "median"), ("point plain", "individual")]
    return _figure(time, time.drawing("fitness by generation", *dots, marks=on_top), legend)


def lineage(generations: Sequence[Generation], objective: str, best: int | None) -> Element:
    """Draw all individuals by generation with lines to their parents; highlight ``best`` and its ancestors."""
    time = Timeline(generations, objective, len(generations), _WIDE)
    if not time.scored:
        return note(NO_SCORE)
    scored = {m[0].number: m for m in time.scored}
    ancestors: set[int] = set()
    todo = [best] if best is not None else []
    while todo:
        number = todo.pop()
        if number not in ancestors and number in scored:
            ancestors.add(number)
            todo += scored[number][0].parents
    paths: dict[str, list[str]] = {"kin": [], "ancestors": []}
    for member in time.scored:
        for parent in member[0].parents:
            if parent in scored:
                (x0, y0), (x1, y1) = time.place(scored[parent]), time.place(member)
                kind = "ancestors" if member[0].number in ancestors else "kin"
                middle = (x0 + x1) / 2
                paths[kind].append(
                    f"M{x0:.0f} {y0:.0f}C{middle:.0f} {y0:.0f} {middle:.0f} {y1:.0f} {x1:.0f} {y1:.0f}"
                )
    edges = [element("path", d="".join(d), class_=f"line {kind}") for kind, d in paths.items() if d]
    dots = []
    for number, member in sorted(scored.items(), key=lambda item: item[0] in ancestors):
        kind = "top" if number == best else "ancestor" if number in ancestors else "plain"
        radius = {"top": 6.0, "ancestor": 4.5, "plain": 3.0}[kind]
        dots.append(dot(time.place(member), hover(*member), radius, class_=f"point {kind}"))
    legend = [("point top", "the best"), ("point ancestor", "its ancestors"), ("point plain", "others")]
    return _figure(time, time.drawing("lineage", *edges, marks=dots), legend)


def _figure(time: Timeline, drawing: Element, legend: Sequence[tuple[str, str]]) -> Element:
    entries = [_entry(class_, words) for class_, words in legend]
    if time.failed:
        entries.append(_entry("failed", f"failed ({len(time.failed)})"))
    beyond = _beyond(time.n_below, DIRECTIONS[time.objective])
    if beyond:
        entries.append(element("span", beyond))
    return element(
        "figure", element("div", drawing, class_="scroll"), element("figcaption", *entries)
    )  # fmt: skip


def _entry(class_: str, words: str) -> Element:
    if "line" in class_:
        mark = element("path", d="M1 7H21", class_=class_)
    elif class_ == "failed":
        mark = cross((11, 7), words)
    else:
        mark = element("circle", cx=11, cy=7, r=4, class_=class_)
    return element("span", element("svg", mark, viewBox="0 0 22 14", class_="key", aria_hidden="true"), words)


def hypervolume(generations: Sequence[Generation], n_columns: int) -> Element | None:
    """Draw the hypervolume by generation; return ``None`` if there is none, as with one objective."""
    known = [(index, g.hypervolume) for index, g in enumerate(generations) if g.hypervolume is not None]
    if not known:
        return None
    x = Scale(-0.6, max(n_columns, len(generations)) - 0.4, LEFT, WIDTH - RIGHT)
    y = scale_of((value for _, value in known), HEIGHT - BOTTOM, TOP)
    points = [(x(index), y(value)) for index, value in known]
    dots = [
        dot(at, f"generation {index}: {value:.4f}", class_="point top")
        for at, (index, value) in zip(points, known, strict=True)
    ]
    axes = frame(x, y, "generation", "hypervolume", whole_x=True)
    return svg(WIDTH, HEIGHT, "hypervolume by generation", axes, polyline(points, "best"), *dots)


def credit(generations: Sequence[Generation]) -> Element:
    """Draw the credit of kinds of blocks by generation: one row for each kind whose credit ever differs from 1.

    If there are more than ``MOST_KINDS``, only those with the largest credit, up or down, are shown.
    """
    if not generations:
        return note("No generation has finished yet.")
    strength: dict[str, float] = {}
    for generation in generations:
        for kind, value in generation.credit.items():
            strength[kind] = max(strength.get(kind, 0.0), abs(_doublings(value)))
    moved = [kind for kind in sorted(strength, key=lambda kind: -strength[kind]) if strength[kind] > 1e-6]
    if not moved:
        return note(
            "Kinds of blocks are drawn with the probabilities of the space: no kind has credit yet, or credit is "
            "uniform."
        )
    last = generations[-1].credit
    shown = sorted(moved[:MOST_KINDS], key=lambda kind: (BlockKind.parse(kind).type, -last.get(kind, 1.0)))
    most = max(1.0, strength[moved[0]])
    every = math.ceil(len(generations) / MOST_COLUMNS)
    columns = range(len(generations) - 1, -1, -every)[::-1]  # always includes the last one
    words = f"{len(strength)} kinds of blocks."
    if len(moved) < len(strength):
        words += f" {len(strength) - len(moved)} that never differ from 1 are not shown."
    if len(moved) > len(shown):
        words += f" {len(moved) - len(shown)} that differ less than these {len(shown)} are not shown."
    if every > 1:
        words += f" One generation in {every} is shown."
    return element(
        "figure",
        element("div", _heat_map(generations, columns, shown, most), class_="scroll"),
        element(
            "figcaption",
            element("span", f"÷ {2**most:.1f}", element("i", class_="ramp credit"), f"× {2**most:.1f}"),
            element("span", words),
        ),
        note(_CREDIT),
    )


def _doublings(value: float) -> float:
    """Return the logarithm to base 2 of a credit, limited to -10 to 10."""
    return max(-10.0, min(10.0, math.log2(max(value, 1e-9))))


def _heat_map(
    generations: Sequence[Generation], columns: Sequence[int], kinds: Sequence[str], most: float
) -> Element:
    left, right, row, gap = 96, 58, 16, 8
    cell = min(44.0, (_WIDE - left - right) / len(columns))
    end = left + cell * len(columns)
    types = [BlockKind.parse(kind).type for kind in kinds]
    tops = [4.0]
    for before, after in pairwise(types):
        tops.append(tops[-1] + row + gap * (before != after))
    drawn = []
    for kind, top in zip(kinds, tops, strict=True):
        drawn.append(text(left - 8, top + 12, kind, "end"))
        for column, index in enumerate(columns):
            value = generations[index].credit.get(kind, 1.0)
            strong = _doublings(value) / most
            title = element("title", f"{kind}, generation {index}: {value:.2f}")
            drawn.append(
                element(
                    "rect", title, x=left + column * cell, y=top, width=cell - 1, height=row - 1,
                    class_="more" if strong > 0 else "less", style=f"--much:{abs(strong):.0%}",
                )
            )  # fmt: skip
        drawn.append(text(end + 6, top + 12, f"× {generations[-1].credit.get(kind, 1.0):.2f}", "start"))
    bottom = tops[-1] + row
    every = math.ceil(34 / cell)
    for column, index in list(enumerate(columns))[::every]:
        drawn.append(text(left + (column + 0.5) * cell, bottom + 16, str(index)))
    drawn.append(text((left + end) / 2, bottom + 36, "generation", class_="label"))
    return svg(end + right, bottom + 44, "credit of kinds of blocks by generation", *drawn)
