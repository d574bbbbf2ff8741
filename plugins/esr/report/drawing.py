"""Inline SVG: elements, scales, axes and marks.

Written by hand and not with matplotlib: in a page that draws its own SVG a point carries its title to hover over, text
can be selected, style sheets choose the colours for light and dark, and a search needs no package more. Elements are
those of ``xml.etree``, which escapes whatever text and attributes it is given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

Point = tuple[float, float]

WIDTH, HEIGHT = 520, 330
"""Of a plot that stands beside another, in CSS pixels where the screen has them."""

LEFT, TOP, RIGHT, BOTTOM = 76, 14, 16, 50
"""Room around the axes."""


def element(tag: str, *content: Element | str, **attributes: object) -> Element:
    """Return an element.

    Attributes are named as in Python: ``class_`` is ``class``, ``text_anchor`` is ``text-anchor``. Those that are
    ``None`` are left out, numbers are rounded to a tenth.
    """
    node = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            node.set(name.rstrip("_").replace("_", "-"), _written(value))
    for part in content:
        if isinstance(part, Element):
            node.append(part)
        elif len(node):
            node[-1].tail = (node[-1].tail or "") + clean(part)
        else:
            node.text = (node.text or "") + clean(part)
    return node


def _written(value: object) -> str:
    return f"{round(value, 1):g}" if isinstance(value, float) else clean(str(value))


def clean(text: str) -> str:
    """Return the text without what no page may hold: half characters of UTF-16, and control characters."""
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c for c in whole if c in "\n\t" or c.isprintable() or ord(c) > 0x9F)


def svg(width: float, height: float, name: str, *content: Element) -> Element:
    """Return a drawing; ``name`` is what it shows, for those who cannot see it."""
    view = f"0 0 {width:g} {height:g}"
    return element(
        "svg", *content, viewBox=view, style=f"--w:{width:g}px", role="group", aria_label=name
    )  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """Maps values to pixels; what lies outside is drawn on the border."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return where a value is drawn."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


def scale_of(values: Iterable[float], start: float, end: float, margin: float = 0.06) -> Scale:
    """Return a scale with all values on it and some room on both sides, also where they are all the same."""
    values = list(values)
    low, high = min(values), max(values)
    room = (high - low) * margin or abs(high) * 0.01 or 1.0
    return Scale(low - room, high + room, start, end)


def ticks(low: float, high: float, most: int = 6, whole: bool = False) -> list[tuple[float, str]]:
    """Return the round values between two, at most so many, as they are written."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    if whole:
        step = max(step, 1.0)
    while math.floor(high / step) - math.ceil(low / step) + 1 > most:
        # 1, 2, 5, 10, 20, 50 …
        step *= 2.5 if round(math.log10(step / 2), 6).is_integer() else 2
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(k * step, f"{k * step:,.{decimals}f}") for k in range(first, last + 1)]


def text(x: float, y: float, words: str, anchor: str = "middle", **attributes: object) -> Element:
    """Return words at a place: their middle, or their ``start`` or ``end``."""
    return element("text", words, x=x, y=y, text_anchor=anchor, **attributes)


def frame(x: Scale, y: Scale, x_label: str, y_label: str, whole_x: bool = False) -> Element:
    """Return grid, numbers and labels of a plot. ``y.start`` is its lower end; both labels name their units."""
    group = element("g", class_="frame")
    room = abs(x.end - x.start) / 75
    for value, words in ticks(x.low, x.high, max(2, int(room)), whole_x):
        group.append(element("path", d=f"M{x(value):.1f} {y.end:.1f}V{y.start:.1f}", class_="grid"))
        group.append(text(x(value), y.start + 18, words))
    for value, words in ticks(y.low, y.high):
        group.append(element("path", d=f"M{x.start:.1f} {y(value):.1f}H{x.end:.1f}", class_="grid"))
        group.append(text(x.start - 7, y(value) + 4, words, "end"))
    group.append(element("path", d=f"M{x.start:.1f} {y.start:.1f}H{x.end:.1f}", class_="axis"))
    middle = (y.start + y.end) / 2
    group.append(text((x.start + x.end) / 2, y.start + 40, x_label, class_="label"))
    group.append(text(14, middle, y_label, class_="label", transform=f"rotate(-90 14 {middle:.1f})"))
    return group


def dot(at: Point, title: str, radius: float = 4.0, **attributes: object) -> Element:
    """Return a disc that says its title when hovered over."""
    return element("circle", element("title", title), cx=at[0], cy=at[1], r=radius, **attributes)


def cross(at: Point, title: str) -> Element:
    """Return the mark of something that failed."""
    d = f"M{at[0] - 3.5:.1f} {at[1] - 3.5:.1f}l7 7m0-7l-7 7"
    return element("path", element("title", title), d=d, class_="failed")


def polyline(points: Sequence[Point], class_: str) -> Element:
    """Return straight lines from point to point."""
    d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return element("path", d=d, class_=f"line {class_}")


def step_line(points: Sequence[Point], end: float, class_: str) -> Element:
    """Return a line that keeps each point's height until the next one, and the last one's until ``end``."""
    d = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    d += "".join(f"H{x:.1f}V{y:.1f}" for x, y in points[1:])
    return element("path", d=f"{d}H{end:.1f}", class_=f"line {class_}")


def table(head: Sequence[str], rows: Iterable[Sequence[Element | str]]) -> Element:
    """Return an HTML table; each cell carries its column's name, which a narrow screen shows beside it."""
    node = element("table", element("thead", element("tr", *(element("th", name) for name in head))))
    body = SubElement(node, "tbody")
    for row in rows:
        cells = (element("td", cell, data_label=name) for name, cell in zip(head, row, strict=True))
        body.append(element("tr", *cells))
    return node
