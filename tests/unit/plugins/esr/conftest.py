"""Results of searches for the report, and a parser for the page it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from xml.etree.ElementTree import Element, SubElement

import pytest
from srtrain_plugins.esr.report.report import SearchFacts
from srtrain_plugins.esr.search.types import Generation, Genome, Individual, Outcome

Member = tuple[Individual, Outcome]

VOID = {"meta", "link", "br", "img", "input"}


@pytest.fixture(scope="session")
def member() -> Callable[..., Member]:
    """Make an individual and its outcome; with a ``reason`` it has failed."""

    def member(
        number: int,
        psnr: float = 33.0,
        generation: int = 0,
        parents: tuple[int, ...] = (),
        reason: str = "",
        blocks: Sequence[str] = ("S_4_8_16", "C_4_8_8", "G_4_16_24"),
        seconds: Mapping[str, float] | None = None,
        **others: float,
    ) -> Member:
        origin = ("random", "mutation", "crossover")[len(parents)]
        genome = Genome((True,) * len(blocks), tuple(range(len(blocks))))
        individual = Individual(number, generation, genome, tuple(blocks), origin, parents)
        values = {} if reason else {"psnr": psnr, "parameters": 320_000, "multi_adds": 73.4e9, **others}
        return individual, Outcome(values, reason, seconds=seconds or {})

    return member


@pytest.fixture(scope="session")
def facts() -> Callable[..., SearchFacts]:
    """Make the report's input from generations, each a sequence of members; other values can be given by name."""

    def facts(*generations: Sequence[Member] | Generation, **given: object) -> SearchFacts:
        finished = [g if isinstance(g, Generation) else Generation(tuple(g), (), {}) for g in generations]
        values: dict[str, object] = {
            "title": "a search",
            "objectives": ("psnr",),
            "generations": finished,
            "n_generations": 20,
            "pareto": (),
            "settings": {"seed": "10"},
            "protocol": "Y, on 4 fixed crops",
            "elapsed_seconds": 3723.0,
            "seconds_left": None,
            "scale": 2,
            "n_ranks": 1,
        }
        return SearchFacts(**(values | given))  # type: ignore[arg-type]

    return facts


@pytest.fixture(scope="session")
def evolved(member: Callable[..., Member], facts: Callable[..., SearchFacts]) -> SearchFacts:
    """Three generations of four, with two objectives, one failure, credit and hypervolume."""
    first = [
        member(0, 32.5, parameters=318_000),
        member(1, 32.1, parameters=315_500),
        member(2, 32.9),
        member(3, 32.0),
    ]
    second = [
        member(4, 33.0, 1, (2,), parameters=321_000, seconds={"compile": 5.0, "train": 95.0}),
        member(5, 32.2, 1, (0,)),
        member(6, 0, 1, (2, 0), reason="the loss was NaN at step 12"),
        member(7, 32.6, 1, (2, 1), parameters=319_000),
    ]
    third = [member(8, 33.4, 2, (4, 7), parameters=322_000), *(member(n, 32.8, 2, (4,)) for n in (9, 10, 11))]
    credits_ = ({"S_4_8_16": 1.0, "G_4_16_24": 1.0}, {"S_4_8_16": 0.5, "G_4_16_24": 2.0})
    return facts(
        Generation(tuple(first), (2, 0), credits_[0], 1.0),
        Generation(tuple(second), (4, 2), credits_[1], 1.2),
        Generation(tuple(third), (8, 4), credits_[1], 1.5),
        objectives=("psnr", "parameters"),
        pareto=(1, 0, 7, 2, 4, 8),
    )


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("document")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        node = SubElement(self.open[-1], tag, {name: value or "" for name, value in attrs})
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        node = self.open[-1]
        if len(node):
            node[-1].tail = (node[-1].tail or "") + data
        else:
            node.text = (node.text or "") + data


@pytest.fixture(scope="session")
def read() -> Callable[[str], Element]:
    """Parse a page into elements as a browser does; fails if tags do not match."""

    def read(page: str) -> Element:
        reader = _Reader()
        reader.feed(page)
        reader.close()
        assert reader.open == [reader.root]
        return reader.root

    return read
