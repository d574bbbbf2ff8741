"""Inline SVG: elements, scales, axes and marks.

The drawings do not use matplotlib. With SVG of our own, a point shows its title when the mouse is over it, text can be
selected, and style sheets choose light or dark colours. A search also needs no additional package. Elements are those
of ``xml.etree``, which escapes all text and attributes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

Point = tuple[float, float]

WIDTH, HEIGHT = 520, 330
"""Size of a plot that is shown beside another, in CSS pixels."""

LEFT, TOP, RIGHT, BOTTOM = 76, 14, 16, 50
"""Margins around the axes, in pixels."""


def element(tag: str, *content: Element | str, **attributes: object) -> Element:
    """Return an element.

    Attribute names are Python names: ``class_`` stands for ``class``, ``text_anchor`` for ``text-anchor``. Attributes
    with the value ``None`` are left out. Floats are rounded to one decimal.
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
    """Return the text without characters that HTML does not allow: lone surrogates and control characters."""
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c for c in whole if c in "\n\t" or c.isprintable() or ord(c) > 0x9F)


def svg(width: float, height: float, name: str, *content: Element) -> Element:
    """Return a drawing; ``name`` describes it for screen readers."""
    view = f"0 0 {width:g} {height:g}"
    return element(
        "svg", *content, viewBox=view, style=f"--w:{width:g}px", role="group", aria_label=name
    )  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """Maps values to pixels; values outside of the range are drawn on the border."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of a value in pixels."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


def scale_of(values: Iterable[float], start: float, end: float, margin: float = 0.06) -> Scale:
    """Return a scale that contains all values with a margin on both sides, also if all values are equal."""
    values = list(values)
    low, high = min(values), max(values)
    room = (high - low) * margin or abs(high) * 0.01 or 1.0
    return Scale(low - room, high + room, start, end)


def ticks(low: float, high: float, most: int = 6, whole: bool = False) -> list[tuple[float, str]]:
    """Return at most ``most`` round values from ``low`` to ``high``, each with its text."""
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
    """Return a text whose middle, ``start`` or ``end`` is at a position."""
    return element("text", words, x=x, y=y, text_anchor=anchor, **attributes)


def frame(x: Scale, y: Scale, x_label: str, y_label: str, whole_x: bool = False) -> Element:
    """Return grid, numbers and labels of a plot. ``y.start`` is the lower end; the labels include the units."""
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
    """Return a disc that shows its title when the mouse is over it."""
    return element("circle", element("title", title), cx=at[0], cy=at[1], r=radius, **attributes)


def cross(at: Point, title: str) -> Element:
    """Return the mark of a failed individual."""
    d = f"M{at[0] - 3.5:.1f} {at[1] - 3.5:.1f}l7 7m0-7l-7 7"
    return element("path", element("title", title), d=d, class_="failed")


def polyline(points: Sequence[Point], class_: str) -> Element:
    """Return straight lines that connect the points."""
    d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return element("path", d=d, class_=f"line {class_}")


def step_line(points: Sequence[Point], end: float, class_: str) -> Element:
    """Return a step line: it keeps the height of each point until the next one, and of the last until ``end``."""
    d = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    d += "".join(f"H{x:.1f}V{y:.1f}" for x, y in points[1:])
    return element("path", d=f"{d}H{end:.1f}", class_=f"line {class_}")


def table(head: Sequence[str], rows: Iterable[Sequence[Element | str]]) -> Element:
    """Return an HTML table. Each cell stores the name of its column, which narrow screens show beside it."""
    node = element("table", element("thead", element("tr", *(element("th", name) for name in head))))
    body = SubElement(node, "tbody")
    for row in rows:
        cells = (element("td", cell, data_label=name) for name, cell in zip(head, row, strict=True))
        body.append(element("tr", *cells))
    return node
