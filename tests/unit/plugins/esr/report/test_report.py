from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from srtrain_plugins.esr.report.report import SearchFacts, page, write_report
from srtrain_plugins.esr.search.types import Generation

NOW = datetime(2025, 3, 4, 21, 30, tzinfo=timezone.utc)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")

SECTIONS = [
    "front",
    "fitness",
    "architecture",
    "lineage",
    "credit",
    "candidates",
    "failed",
    "cost",
    "settings",
]


@pytest.fixture(scope="module")
def show(read: Callable[[str], Element]) -> Callable[[SearchFacts], Element]:
    return lambda search: read(page(search, NOW))


@pytest.fixture(scope="module")
def thousand(member: Callable[..., Any], facts: Callable[..., SearchFacts]) -> SearchFacts:
    """A search of 125 generations of 8 with four objectives, 90 kinds with credit, and a front of 400."""
    rng = np.random.default_rng(1)
    kinds = [
        f"{t}_{n}_{g}_{o}"
        for t in "SGC"
        for n in (4, 6, 8)
        for g in (8, 16, 24, 32)
        for o in (8, 16, 24, 32)
        if o >= g
    ]
    generations = []
    for g in range(125):
        members = [
            member(
                8 * g + k, 32 + float(rng.random()), g, (8 * g - 8, 8 * g - 7) if g else (),
                blocks=list(map(str, rng.choice(kinds, 17))), parameters=float(rng.integers(315_000, 325_000)),
                multi_adds=70e9 + float(rng.integers(10**9)), latency=float(rng.random()) / 100,
            )
            for k in range(8)
        ]  # fmt: skip
        credit = {kind: float(np.exp(rng.normal())) for kind in kinds}
        generations.append(Generation(tuple(members), (8 * g,), credit, 1 + g / 100))
    objectives = ("psnr", "parameters", "multi_adds", "latency")
    return facts(
        *generations, objectives=objectives, pareto=tuple(range(400)), n_generations=125, stopped="done"
    )


def words(node: Element | None) -> str:
    assert node is not None
    return " ".join(" ".join(node.itertext()).split())


def section(document: Element, name: str) -> Element:
    found = document.find(f".//*[@id='{name}']")
    assert found is not None, f"no {name} on the page"
    return found


def cells(document: Element, name: str) -> list[list[str]]:
    """Return the cells of a section's table, one list per row."""
    return [[words(cell) for cell in row] for row in section(document, name).iter("tr")]


def test_a_running_search_says_how_far_it_is_and_when_it_ends(evolved, show) -> None:
    head = words(section(show(replace(evolved, seconds_left=9000.0)), "state"))
    assert head.startswith(
        "a search Running 3 of 20 generations 12 evaluated, 1 of them failed 01:02:03 so far "
        "expected end 2025-03-05 00:00 "
    )
    assert "PSNR: Y, on 4 fixed crops." in head
    assert "trained by 1 process." in head


def test_an_unknown_end_is_not_made_up(evolved, show) -> None:
    assert "expected" not in words(section(show(evolved), "state"))


def test_a_finished_search_says_why_it_ended(evolved, show) -> None:
    head = words(section(show(replace(evolved, stopped="all genomes of the space were tried")), "state"))
    assert (
        "Finished 3 of 20 generations 12 evaluated, 1 of them failed took 01:02:03 all genomes of the" in head
    )
    assert "reload the page" not in head


def test_each_objective_has_its_best(evolved, show) -> None:
    tiles = [words(tile) for tile in section(show(evolved), "state").findall(".//div[@class='tiles']/div")]
    assert tiles == [
        "highest PSNR 33.400 dB No. 8, generation 2 parameters 322,000, multi-adds 73.4 G",
        "lowest parameters 315,500 No. 1, generation 0 PSNR 32.100 dB, multi-adds 73.4 G",
    ]


def test_the_candidates_are_those_of_the_front_with_their_numbers(evolved, show) -> None:
    rows = cells(show(evolved), "candidates")
    assert rows[0] == ["no.", "generation", "origin", "PSNR", "parameters", "multi-adds", "blocks"]
    assert [int(row[0]) for row in rows[1:]] == [8, 4, 2, 7, 0, 1]
    assert rows[1] == [
        "8", "2", "crossover of 4 and 7", "33.400 dB", "322,000", "73.4 G", "S_4_8_16 C_4_8_8 G_4_16_24",
    ]  # fmt: skip


def test_latency_has_a_column_where_it_was_measured(facts, member, show) -> None:
    search = facts([member(0, 33.0), member(1, 32.0, latency=0.0123)], pareto=(0, 1))
    rows = cells(show(search), "candidates")
    assert [row[rows[0].index("latency")] for row in rows] == ["latency", "", "12.3 ms"]


def test_the_failed_are_listed_with_their_reasons(evolved, show) -> None:
    rows = cells(show(evolved), "failed")
    assert rows[1:] == [
        ["6", "1", "crossover of 2 and 0", "the loss was NaN at step 12", "S_4_8_16 C_4_8_8 G_4_16_24"]
    ]


def test_cost_is_shared_out_among_the_parts(facts, member, show) -> None:
    spent = {"build": 10.0, "compile": 50.0, "train": 900.0, "evaluate": 40.0}
    search = facts([member(0, seconds=spent), member(1, reason="NaN", seconds={"train": 0.0})], n_ranks=2)
    document = show(search)
    cost = section(document, "cost")
    assert cells(document, "cost")[1:] == [
        ["build", "00:00:10", "1.0%"],
        ["compile", "00:00:50", "5.0%"],
        ["train", "00:15:00", "90.0%"],
        ["evaluate", "00:00:40", "4.0%"],
    ]
    assert "took 00:16:40 of 2 × 01:02:03. 90.0% of this time was training." in words(cost)
    grows = [float(part.get("style").split(":")[1]) for part in cost.find("div[@class='bar']")]
    assert grows == [0.01, 0.05, 0.9, 0.04]


def test_settings_are_printed(evolved, show) -> None:
    rows = cells(show(replace(evolved, settings={"space.types": "('S',)", "seed": "10"})), "settings")
    assert rows == [["setting", "value"], ["space.types", "('S',)"], ["seed", "10"]]


EVIL = "</style><script>alert('x')</script> & \"<b>\" <!-- "


def test_nothing_from_outside_becomes_part_of_the_page(facts, member, show) -> None:
    made = [member(0, reason=EVIL + "\x1b[31m\x00\udc80"), member(1)]
    search = facts(
        made, title=EVIL, settings={EVIL: EVIL}, protocol=EVIL, stopped=EVIL, pareto=(1,), n_generations=1
    )  # fmt: skip
    document = show(search)
    assert document.find(".//script") is None
    assert [node.text for node in document.iter("b")] == ["33.000 dB"]
    shown = " ".join(EVIL.split())
    assert words(document.find(".//h1")) == shown
    assert words(document.find(".//title")) == shown
    assert cells(document, "settings")[1] == [shown, shown]
    assert cells(document, "failed")[1][3] == f"{shown} [31m\\udc80"
    assert words(section(document, "state")).count(shown) == 3


def test_a_long_reason_is_cut(facts, member, show) -> None:
    reason = cells(show(facts([member(0, reason="x" * 10_000)])), "failed")[1][3]
    assert reason == "x" * 500 + " …"


def states(facts: Callable[..., SearchFacts], member: Callable[..., Any]) -> dict[str, SearchFacts]:
    failed = [member(k, reason="out of memory") for k in range(4)]
    return {
        "nothing yet": facts(),
        "one generation": facts([member(0, 32.0), member(1, 33.0)], pareto=(1,)),
        "one individual": facts([member(0)], pareto=(0,)),
        "all failed": facts(failed),
        "a generation failed": facts([member(9, 33.0)], failed, pareto=(9,)),
    }


@pytest.mark.parametrize(
    "state", ["nothing yet", "one generation", "one individual", "all failed", "a generation failed"]
)
def test_all_sections_stand_in_every_state(facts, member, show, state: str) -> None:
    search = states(facts, member)[state]
    document = show(search)
    assert [s.get("id") for s in document.iter("section")] == SECTIONS
    assert [a.get("href") for a in document.iter("a")] == [f"#{name}" for name in SECTIONS]
    nothing = "No candidate has a score." in words(section(document, "front"))
    assert nothing == (not search.pareto)
    everything = "".join(document.itertext()) + str([dict(node.attrib) for node in document.iter()])
    assert not re.search(r"\b(nan|inf|None)\b", everything)


def test_one_objective_has_one_plot_and_no_hypervolume(facts, member, show) -> None:
    document = show(facts([member(0), member(1, 34.0)], pareto=(1,)))
    plots = [s.get("aria-label") for s in section(document, "front").iter("svg")]
    assert plots == ["PSNR against parameters"]
    assert document.find(".//*[@id='hypervolume']") is None


def test_four_objectives_have_a_plot_for_each_pair_worth_it(thousand, show) -> None:
    document = show(thousand)
    assert [s.get("aria-label") for s in section(document, "front").iter("svg")] == [
        "PSNR against parameters",
        "PSNR against multi-adds",
        "PSNR against latency",
        "latency against multi-adds",
    ]
    assert section(document, "hypervolume").find(".//svg") is not None


def test_a_thousand_individuals_are_all_there_in_less_than_two_megabytes(
    thousand, show, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    write_report(file, thousand)
    assert file.stat().st_size < 2_000_000
    document = show(thousand)
    for svg in section(document, "front").iter("svg"):
        assert sum(1 for _ in svg.iter("circle")) == 1000
    for name in ("fitness", "lineage"):
        assert sum(c.find("title") is not None for c in section(document, name).iter("circle")) == 1000
    assert len(cells(document, "candidates")) == 401


def test_the_page_asks_for_nothing_from_elsewhere(evolved, show) -> None:
    document = show(evolved)
    links = [node.get(name) for node in document.iter() for name in ("src", "href", "data", "action")]
    assert {link for link in links if link and not link.startswith("#")} == {"data:,"}
    style = words(document.find(".//style"))
    assert "url(" not in style
    assert "@import" not in style


def test_every_colour_variable_is_defined_for_light_and_dark(evolved, show) -> None:
    document = show(evolved)
    style = document.find(".//style").text
    light, dark = (
        set(re.findall(r"(--[\w-]+):", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)
    )
    given = set(re.findall(r"(--[\w-]+):", " ".join(node.get("style", "") for node in document.iter())))
    assert light == dark
    assert set(re.findall(r"var\((--[\w-]+)", style)) <= light | given


def test_the_file_is_written_whole(evolved, tmp_path: Path, read) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    write_report(file, evolved)
    assert file.read_text(encoding="utf-8").startswith('<!DOCTYPE html>\n<html lang="en">')
    assert [f.name for f in tmp_path.iterdir()] == ["report.html"]
    assert words(section(read(file.read_text(encoding="utf-8")), "state")).startswith("a search Running")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium without network access that logs its messages and requests."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs Chromium and chromedriver (Debian: apt install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory() as profile:
        for option in (*OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        try:
            driver.set_network_conditions(offline=True, latency=0, throughput=0)
            yield driver
        finally:
            driver.quit()


def _opened(browser: Any, file: Path, width: int, colours: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 800}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": colours}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(file.as_uri())


def _requested(browser: Any, page: str) -> set[str]:
    """Return the requests of the page, without those of the browser's own start page."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return {request["request"]["url"] for request in asked if request["documentURL"] == page}


@pytest.mark.browser
@pytest.mark.parametrize(
    ("width", "colours"), [(1400, "light"), (400, "light"), (1400, "dark"), (400, "dark")]
)
def test_a_browser_shows_the_page_without_network(
    browser, evolved: SearchFacts, tmp_path: Path, width: int, colours: str
) -> None:
    file = tmp_path / "report.html"
    write_report(file, evolved)
    _opened(browser, file, width, colours)
    assert browser.get_log("browser") == []
    assert _requested(browser, file.as_uri()) == {file.as_uri()}

    boxes = browser.execute_script(BOXES)
    assert set(boxes) == {"state", "hypervolume", *SECTIONS}
    assert all(w > 250 and h > 40 for w, h in boxes.values())
    # Wide drawings scroll inside their sections, never the page.
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width

    points = browser.execute_script(POINTS)
    assert points == {"front": 11, "fitness": 11 + 1, "lineage": 11 + 1}
    paper, ink = browser.execute_script(COLOURS)
    assert (sum(paper) > sum(ink)) == (colours == "light")
    assert abs(sum(paper) - sum(ink)) > 3 * 150


BOXES = """
return Object.fromEntries([...document.querySelectorAll("header, section")].map(
  s => [s.id, [s.getBoundingClientRect().width, s.getBoundingClientRect().height]]));
"""

# What has a title, is really painted, and lies inside its drawing.
POINTS = """
const seen = (mark) => {
  const box = mark.getBoundingClientRect(), svg = mark.ownerSVGElement.getBoundingClientRect();
  const style = getComputedStyle(mark), paint = style.fill === "none" ? style.stroke : style.fill;
  return box.width > 2 && paint !== "none" && Number(style.opacity) > 0.3
    && box.left >= svg.left && box.right <= svg.right && box.top >= svg.top && box.bottom <= svg.bottom;
};
const marks = (id) => document.querySelectorAll(`#${id} circle:has(title), #${id} .scroll path.failed`);
return Object.fromEntries(["front", "fitness", "lineage"].map(id => [id, [...marks(id)].filter(seen).length]));
"""

COLOURS = """
const parts = (colour) => colour.match(/\\d+/g).slice(0, 3).map(Number);
const section = document.querySelector("section");
return [parts(getComputedStyle(section).backgroundColor), parts(getComputedStyle(section).color)];
"""
