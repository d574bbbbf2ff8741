"""List the plugins that are found, active or broken, and what each registers."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from srtrain import plugins
from srtrain.errors import RecipeError
from srtrain.files import python_program

_TIMEOUT_SECONDS = 120


@dataclass
class Report:
    """What is known about one plugin; ``asked_by`` is empty for one that is only installed."""

    name: str
    origin: str = ""
    asked_by: str = ""
    broken: str = ""
    registers: dict[str, list[str]] = field(default_factory=dict)
    around_run: bool = False

    def __str__(self) -> str:
        state = "BROKEN" if self.broken else "active" if self.asked_by else "found, not active"
        asked = f", asked for by {self.asked_by}" if self.asked_by else ""
        lines = [f"{self.name}: {state}{asked}" + (f"  ({self.origin})" if self.origin else "")]
        lines += [f"    {line}" for line in self.broken.splitlines()]
        lines += [f"    {kind}: {', '.join(names)}" for kind, names in self.registers.items()]
        if self.around_run:
            lines.append("    acts before and after a run (around_run)")
        return "\n".join(lines)


def run(args: argparse.Namespace) -> int:
    """Print every plugin; the exit code is 2 if one that was asked for is broken."""
    reports = [*_asked_for(args.asked, args.beside), *_installed(args.asked)]
    for report in reports:
        print(report)
    if not reports:
        print("no plugin is installed, and none was asked for")
    return 2 if any(report.broken and report.asked_by for report in reports) else 0


def _asked_for(asked: dict[str, str], beside: Path) -> Iterable[Report]:
    """Activate the plugins in this process and in order, as a run does: two of them may conflict."""
    for name, by in asked.items():
        report = _examine(name, beside)
        report.asked_by = by
        yield report


def _installed(asked: dict[str, str]) -> Iterable[Report]:
    """Import each in its own process, so that it can neither act in this one nor end it."""
    names = sorted(name for name in plugins.installed() if name not in asked)
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield from pool.map(_examine_elsewhere, names)


def _examine(name: str, beside: Path | None = None) -> Report:
    report = Report(name, "; ".join(map(plugins.origin, plugins.installed().get(name, []))))
    try:
        plugin = plugins.load(name, beside)
    except RecipeError as error:
        report.broken = str(error)
    else:
        report.registers = plugin.registered
        report.around_run = hasattr(plugin.module, "around_run")
    return report


def _examine_elsewhere(name: str) -> Report:
    report = Report(name, "; ".join(map(plugins.origin, plugins.installed()[name])))
    try:
        done = subprocess.run(
            [*python_program("srtrain.jobs.plugins"), name],
            capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        report.broken = f"its import takes longer than {_TIMEOUT_SECONDS} seconds"
        return report
    if done.returncode:
        last_words = (done.stderr.strip().splitlines() or ["it prints nothing"])[-1]
        report.broken = f"its import ends the process with exit code {done.returncode}: {last_words}"
        return report
    return Report(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    print("\n" + json.dumps(vars(_examine(sys.argv[1]))))
