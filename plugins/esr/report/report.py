"""The report of a search: one HTML page that needs neither the network nor scripts.

The drawings are inline SVG (see ``drawing``). The colours are variables of the style sheet (``style``), which has a
light and a dark set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

from srtrain.files import write_whole
from srtrain.hooks.writers.console import duration

from ..search.measures import MEASURES, lines, origin
from ..search.types import DIRECTIONS, Generation
from .architecture import architecture_drawing
from .charts import NO_SCORE, Member, credit, fitness, front, hypervolume, lineage, members, note
from .drawing import element, table
from .style import STYLE

PARTS = ("build", "compile", "train", "evaluate", "ablate")
"""The parts of a candidate's time, named as in ``Outcome.seconds``."""

_LONGEST_REASON = 500  # characters; many long tracebacks would make the page unusable
_BEST = {1: "highest", -1: "lowest"}


@dataclass(frozen=True)
class SearchFacts:
    """The data of a report.

    Attributes:
        objectives: names from ``DIRECTIONS``; the first is drawn as the fitness.
        generations: finished generations.
        n_generations: planned number of generations.
        pareto: numbers of the individuals that no other dominates; with one objective, the number of the best.
        protocol: description of what PSNR measures: which crops, which colour.
        elapsed_seconds: wall time of all sessions of the search so far.
        seconds_left: expected remaining time; ``None`` if unknown.
        scale: scale of the networks.
        n_ranks: number of processes that train individuals.
        stopped: why the search ended; empty while it runs.
    """

    title: str
    objectives: tuple[str, ...]
    generations: Sequence[Generation]
    n_generations: int
    pareto: tuple[int, ...]
    settings: Mapping[str, str]
    protocol: str
    elapsed_seconds: float
    seconds_left: float | None
    scale: int
    n_ranks: int
    stopped: str = ""

    def front(self) -> list[Member]:
        """Return the individuals in ``pareto``, best first in the first objective."""
        by_number = {member[0].number: member for member in members(self.generations)}
        first = self.objectives[0]
        return sorted(
            (by_number[number] for number in self.pareto),
            key=lambda member: -DIRECTIONS[first] * member[1].objectives[first],
        )


def write_report(file: Path, search: SearchFacts) -> None:
    """Write the page atomically, so that a browser never loads half of it."""
    write_whole(file, page(search, datetime.now().astimezone()))


def page(search: SearchFacts, now: datetime) -> str:
    """Return the page; ``now`` is the local time that it shows."""
    sections = list(_sections(search))
    links = [element("a", title, href=f"#{name}") for name, title, _, _ in sections]
    body = element("body", _head(search, now), element("nav", *links))
    grid = element("main")
    for name, title, content, wide in sections:
        grid.append(
            element("section", element("h2", title), *content, id=name, class_="wide" if wide else None)
        )  # fmt: skip
    body.append(grid)
    document = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            # Without this, a browser requests an icon from the server or the folder.
            element("link", rel="icon", href="data:,"),
            element("title", search.title),
            element("style", STYLE),
        ),
        body,
        lang="en",
    )
    return "<!DOCTYPE html>\n" + tostring(document, encoding="unicode", method="html") + "\n"


def _head(search: SearchFacts, now: datetime) -> Element:
    everyone = members(search.generations)
    n_failed = sum(outcome.failed for _, outcome in everyone)
    done = len(search.generations)
    facts = [
        f"{done} of {search.n_generations} generations",
        f"{len(everyone)} evaluated" + (f", {n_failed} of them failed" if n_failed else ", none failed"),
        f"{duration(search.elapsed_seconds)} so far"
        if not search.stopped
        else f"took {duration(search.elapsed_seconds)}",
    ]
    if search.stopped:
        state = element("strong", "Finished", class_="state finished")
        facts.append(search.stopped)
    else:
        state = element("strong", "Running", class_="state running")
        if search.seconds_left is not None:
            facts.append(f"expected end {now + timedelta(seconds=search.seconds_left):%Y-%m-%d %H:%M}")
    share = min(1.0, done / max(1, search.n_generations))
    progress = element("div", element("i", style=f"width:{share:.1%}"), class_="progress")
    ranks = "1 process" if search.n_ranks == 1 else f"{search.n_ranks} processes, each with its own candidate"
    small = [
        f"PSNR: {search.protocol}.",
        f"Networks for x{search.scale}, trained by {ranks}.",
        f"Written {now:%Y-%m-%d %H:%M:%S %Z}"
        + ("." if search.stopped else "; reload the page for newer results."),
    ]
    return element(
        "header",
        element("h1", search.title),
        element("p", state, *(element("span", fact) for fact in facts), class_="facts"),
        progress,
        _best(search),
        note(" ".join(small)),
        id="state",
    )


def _best(search: SearchFacts) -> Element:
    """Return a tile with the best candidate of each objective."""
    found = search.front()
    if not found:
        return note(NO_SCORE)
    tiles = element("div", class_="tiles")
    for name in search.objectives:
        member = max(found, key=lambda m: DIRECTIONS[name] * m[1].objectives[name])
        values = dict(lines(member[1].objectives))
        measure = MEASURES[name]
        value = values.pop(measure.label)
        tiles.append(
            element(
                "div",
                element("span", f"{_BEST[DIRECTIONS[name]]} {measure.label}"),
                element("b", value),
                element("span", f"No. {member[0].number}, generation {member[0].generation}"),
                element("span", ", ".join(f"{label} {text}" for label, text in values.items())),
            )
        )
    return tiles


def _sections(search: SearchFacts) -> Iterator[tuple[str, str, list[Element], bool]]:
    """Yield id, title and content of each section, and whether it takes the whole width of the page."""
    several = len(search.objectives) > 1
    generations, first, found = search.generations, search.objectives[0], search.front()
    columns = len(generations) if search.stopped else search.n_generations
    plots = [front(generations, search.pareto, x, y) for x, y in _pairs(search)]
    caption = element(
        "figcaption",
        element("span", "generation 0", element("i", class_="ramp late"), f"{max(0, len(generations) - 1)}"),
        element("span", element("i", class_="ring"), "Pareto front" if several else "the best"),
    )
    yield (
        "front",
        "Pareto front" if several else "PSNR and size",
        [element("div", *plots, class_="plots"), *([caption] if found else [])],
        len(plots) > 1,
    )
    yield "fitness", "Fitness", [fitness(generations, first, columns)], False
    volume = hypervolume(generations, columns)
    if volume is not None:
        words = "Of all candidates so far, in units of the spread of the first generation."
        yield "hypervolume", "Hypervolume", [volume, note(words)], False
    best = found[0] if found else None
    yield "architecture", "Best architecture", _architecture(best, search), True
    yield "lineage", "Lineage", [lineage(generations, first, best and best[0].number)], True
    yield "credit", "Credit of blocks", [credit(generations)], True
    title = "Candidates on the front" if several else "Best candidate"
    yield "candidates", title, [_candidates(found)], True
    yield "failed", "Failed candidates", [_failed(search.generations)], True
    yield "cost", "Cost", _cost(search), False
    rows = [(element("code", name), value) for name, value in search.settings.items()]
    yield "settings", "Settings", [_scroll(table(("setting", "value"), rows))], False


def _pairs(search: SearchFacts) -> list[tuple[str, str]]:
    """Return the (x, y) of each plot: PSNR over each cost, and latency over multi-adds if both are objectives."""
    costs = [name for name in search.objectives if name != "psnr"] or ["parameters"]
    pairs = [(cost, "psnr") for cost in costs]
    if "latency" in costs and "multi_adds" in costs:
        pairs.append(("multi_adds", "latency"))
    return pairs


def _architecture(best: Member | None, search: SearchFacts) -> list[Element]:
    if best is None:
        return [note(NO_SCORE)]
    values = ", ".join(f"{label} {value}" for label, value in lines(best[1].objectives))
    words = (
        f"No. {best[0].number}: {values}. The height of a block shows its output channels. The line below is lower "
        f"where a block works at half the feature scale."
    )
    return [_scroll(architecture_drawing(best[0].blocks, search.scale)), note(words)]


def _scroll(content: Element) -> Element:
    return element("div", content, class_="scroll")


def _code(blocks: Sequence[str]) -> Element:
    return element("code", " ".join(blocks), class_="blocks")


def _candidates(found: Sequence[Member]) -> Element:
    if not found:
        return note(NO_SCORE)
    shown = [name for name in MEASURES if any(name in outcome.objectives for _, outcome in found)]
    rows: list[Sequence[Element | str]] = [
        (
            str(individual.number),
            str(individual.generation),
            origin(individual),
            *(
                MEASURES[name].text(outcome.objectives[name]) if name in outcome.objectives else ""
                for name in shown
            ),
            _code(individual.blocks),
        )
        for individual, outcome in found
    ]
    head = ("no.", "generation", "origin", *(MEASURES[name].label for name in shown), "blocks")
    return _scroll(table(head, rows))


def _failed(generations: Sequence[Generation]) -> Element:
    failed = [member for member in members(generations) if member[1].failed]
    if not failed:
        return note("No candidate has failed.")
    rows = [
        (
            str(individual.number),
            str(individual.generation),
            origin(individual),
            element("div", _cut(outcome.reason), class_="reason"),
            _code(individual.blocks),
        )
        for individual, outcome in failed
    ]
    return _scroll(table(("no.", "generation", "origin", "reason", "blocks"), rows))


def _cut(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]} …"


def _cost(search: SearchFacts) -> list[Element]:
    """Return how the time of the candidates was spent, as a bar, a table and a sentence."""
    spent: Counter[str] = Counter()
    for _, outcome in members(search.generations):
        spent.update(outcome.seconds)
    total = sum(spent.values())
    if total <= 0:
        return [note("No time has been measured yet.")]
    parts = [part for part in (*PARTS, *sorted(set(spent) - set(PARTS))) if spent[part] > 0]
    bar = element("div", class_="bar")
    rows: list[Sequence[Element | str]] = []
    for part in parts:
        class_ = part if part in PARTS else "other"
        share = spent[part] / total
        title = f"{part}: {duration(spent[part])}, {share:.1%}"
        bar.append(element("i", title=title, class_=f"part {class_}", style=f"flex-grow:{share:.6f}"))
        name = element("span", element("i", class_=f"part {class_}"), part)
        rows.append((name, duration(spent[part]), f"{share:.1%}"))
    words = (
        f"The candidates took {duration(total)} of {search.n_ranks} × {duration(search.elapsed_seconds)}. "
        f"{spent['train'] / total:.1%} of this time was training."
    )
    return [bar, table(("part", "time", "share"), rows), note(words)]
