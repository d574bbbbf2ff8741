"""Kill runs at random moments, resume them, and compare what they leave with an uninterrupted run.

    python tests/torture/torture.py --kills 300 --state torture.json      # continues what the file counts already
    python tests/torture/torture.py --kills 20 --only train --seed 7

A run is started, killed and resumed several times, and then it ends undisturbed. Runs of one process are forked from
this process, which has imported MindSpore once, so a kill costs about a second. Runs of two processes are started with
``srtrain launch``; the moment belongs to one of the ranks, and the launcher is killed as well in some of them.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("GLOG_v", "3")

import numpy as np
import psutil
from moments import AIM, AT_ANY_TIME, arm
from results import different, results

from srtrain.cli.main import main as srtrain_main
from srtrain.data.embedded import embedded
from srtrain.data.picture import read_rgb, write_png

HERE = Path(__file__).resolve().parent
HANGS_AFTER_SECONDS = 900
MOST_FAILURES_SHOWN = 3
N_TRIES = 3


@dataclass(frozen=True)
class Scenario:
    """What is run.

    Attributes:
        recipe: file beside this one.
        n_ranks: 1 is forked; 2 is started with ``srtrain launch``.
        most_kills: of one run. A search gives up a network that three processes have lost, so there it is 2.
        share: of the runs that this scenario gets, relative to the others.
    """

    recipe: str
    n_ranks: int = 1
    most_kills: int = 6
    share: int = 1


SCENARIOS = {
    "train": Scenario("tiny.py", most_kills=8, share=12),
    "search": Scenario("tiny_search.py", most_kills=2, share=2),
    "two ranks": Scenario("tiny.py", n_ranks=2, most_kills=3, share=1),
    "two ranks search": Scenario("tiny_search.py", n_ranks=2, most_kills=2, share=1),
}


@dataclass
class Uninterrupted:
    """What is known of a scenario from a run without kills."""

    found: dict[str, Any]
    moments: dict[str, int]
    seconds: float


@dataclass
class Tally:
    """What has happened so far; kept in a file, so that several sessions add up.

    Attributes:
        kills: by scenario, then by kind of moment.
        runs: finished and compared runs by scenario.
        failures: what differed or went wrong.
    """

    kills: dict[str, dict[str, int]] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def n_kills(self) -> int:
        """Number of all kills of runs that were compared."""
        return sum(sum(kinds.values()) for kinds in self.kills.values())

    def add(self, scenario: str, kinds: list[str], failures: list[str], seconds: float) -> None:
        """Count a finished run."""
        counted = Counter(self.kills.get(scenario, {}))
        counted.update(kinds)
        self.kills[scenario] = dict(counted)
        self.runs[scenario] = self.runs.get(scenario, 0) + 1
        self.failures += failures
        self.seconds += seconds

    def __str__(self) -> str:
        kinds = sorted({kind for row in self.kills.values() for kind in row})
        rows = [["", "runs", "kills", *kinds]]
        for name, row in self.kills.items():
            rows.append(
                [name, str(self.runs[name]), str(sum(row.values())), *(str(row.get(k, 0)) for k in kinds)]
            )
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        end = f"{self.n_kills} kills in {self.seconds:.0f} s, {len(self.failures)} differences or failures"
        return "\n".join([*lines, end, *self.failures[:MOST_FAILURES_SHOWN]])


class Torture:
    """Runs scenarios below a work folder."""

    def __init__(self, work: Path, seed: int) -> None:
        self.work = work
        self.random = random.Random(seed)
        self.data = work / "data"
        self._straight: dict[str, Uninterrupted] = {}
        photo = read_rgb(embedded(2, names=("chelsea",))[0].gt)
        self.data.mkdir(parents=True)
        for i in range(4):
            write_png(
                self.data / f"{i}.png", np.ascontiguousarray(photo[40 * i :, 60 * i :][:48, : 40 + 4 * i])
            )

    def straight(self, name: str) -> Uninterrupted:
        """Return what the scenario leaves without kills; it is run at the first call."""
        if name not in self._straight:
            folder = self.work / f"{name.replace(' ', '_')}_straight"
            record = folder / "moments"
            aim = {"kind": "", "nth": 0, "delay": 0.0, "record": str(record)}
            for _ in range(N_TRIES):
                shutil.rmtree(folder, ignore_errors=True)
                began = time.monotonic()
                code = self._attempt(SCENARIOS[name], folder, aim)
                seconds = time.monotonic() - began
                if not _interrupted_from_outside(code, folder):
                    break
            if code:
                sys.exit(f"{name} fails without any kill:\n{_tail(folder)}")
            found = results(folder / "run", folder / "cache")
            moments = Counter(record.read_text().split("\n"))
            moments.pop("", None)
            self._straight[name] = Uninterrupted(found, dict(moments), seconds)
        return self._straight[name]

    def one_run(self, name: str, most_kills: int) -> tuple[list[str], list[str]]:
        """Kill and resume one run until it has ended; return the kinds of kills, and what differs at the end."""
        scenario, straight = SCENARIOS[name], self.straight(name)
        folder = Path(tempfile.mkdtemp(prefix=f"{name.replace(' ', '_')}_", dir=self.work))
        kinds: list[str] = []
        while True:
            aim = self._aim(straight) if len(kinds) < min(scenario.most_kills, most_kills) else None
            code = self._attempt(scenario, folder, aim)
            if code == 0:
                break
            if _interrupted_from_outside(code, folder):
                return [], []
            if aim is None or code > 0:
                return kinds, [f"{name}: exit code {code} after {kinds}, in {folder}:\n{_tail(folder)}"]
            kinds.append(str(aim["kind"]))
        names = different(straight.found, results(folder / "run", folder / "cache"))
        if names:
            return kinds, [f"{name}: {', '.join(names)} differ after {kinds}, in {folder}"]
        shutil.rmtree(folder)
        return kinds, []

    def _aim(self, straight: Uninterrupted) -> dict[str, Any]:
        kind = self.random.choice([*sorted(straight.moments), AT_ANY_TIME])
        if kind == AT_ANY_TIME:
            return {"kind": kind, "nth": 0, "delay": self.random.uniform(0.001, straight.seconds)}
        nth = 1 + int(straight.moments[kind] * self.random.random() ** 2)  # a resumed run has fewer of them
        delay = self.random.choice([0.0, self.random.uniform(0, 0.002), self.random.uniform(0, 0.05)])
        return {"kind": kind, "nth": nth, "delay": delay}

    def _attempt(self, scenario: Scenario, folder: Path, aim: dict[str, Any] | None) -> int:
        """Start or resume the run; return its exit code, which is negative if it was killed."""
        run = folder / "run"
        folder.mkdir(exist_ok=True)
        words = ["run", str(HERE / scenario.recipe), f"run_dir={run}", f"data.root={self.data}"]
        words += [f"benchmarks.crops.data.root={self.data}"]
        words += ["--resume"] if (run / "recipe.json").exists() else []
        extra = {"SRTRAIN_CACHE": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config")}
        if scenario.n_ranks == 1:
            return _forked(words, folder, extra, aim)
        words = ["launch", "-n", str(scenario.n_ranks), "--log-dir", str(folder / "launch"), *words]
        return self._launched(words, folder, extra, aim)

    def _launched(
        self, words: list[str], folder: Path, extra: dict[str, str], aim: dict[str, Any] | None
    ) -> int:
        """Start ranks; if the chosen one dies, kill the launcher and the other ranks at once, or let it end them."""
        if aim is not None:
            aim = {**aim, "rank": self.random.randrange(2) if aim["nth"] else 0, "root": str(folder)}
            extra |= {AIM: json.dumps(aim)}
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "srtrain.cli", *words],
                env={**os.environ, **extra},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        at_once = self.random.random() < 0.7
        dead = False
        while process.poll() is None:
            time.sleep(0.02)
            ranks = _ranks_below(process.pid)
            dead = dead or any(map(_is_dead, ranks))
            if dead and at_once and aim and (aim["nth"] or aim["kind"] == AT_ANY_TIME):
                process.kill()
                for rank in ranks:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        rank.kill()
                psutil.wait_procs(ranks)
                process.wait()
                return -signal.SIGKILL
        killed = process.returncode in (128 + signal.SIGKILL, 128 + signal.SIGALRM)
        return -signal.SIGKILL if killed else process.returncode


def _ranks_below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _interrupted_from_outside(code: int, folder: Path) -> bool:
    """Return whether someone else stopped the run, or paused it for so long that MindSpore gave up a rank."""
    stopped = code in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    return stopped or (code == 1 and "no longer answers" in _tail(folder))


def _is_dead(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _forked(words: list[str], folder: Path, extra: dict[str, str], aim: dict[str, Any] | None) -> int:
    """Run a command line in a copy of this process; return its exit code, or minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(extra)
        if aim is not None:
            arm(str(folder), **aim)
        code = 98
        try:
            code = srtrain_main(words)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    end = time.monotonic() + HANGS_AFTER_SECONDS
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return 99
        time.sleep(0.005)


def _tail(folder: Path) -> str:
    return "\n".join((folder / "log").read_text(errors="replace").splitlines()[-15:])


def main() -> int:
    """Torture until the number of kills is reached; return 1 if anything differed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--kills", type=int, default=300, help="stop at this number, earlier sessions included"
    )
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this time")
    parser.add_argument(
        "--only", choices=SCENARIOS, action="append", help="scenario; repeatable (default: all)"
    )
    parser.add_argument("--state", type=Path, help="file with the counts of earlier sessions")
    parser.add_argument("--seed", type=int, default=None, help="of the moments (default: another each time)")
    parser.add_argument("--work", type=Path, help="folder for runs (default: a temporary one)")
    args = parser.parse_args()
    tally = Tally(**json.loads(args.state.read_text())) if args.state and args.state.exists() else Tally()
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(10**6)
    work = Path(tempfile.mkdtemp(prefix="torture-", dir=args.work)).resolve()
    torture, end = Torture(work, seed), time.monotonic() + 60 * args.minutes
    names = args.only or list(SCENARIOS)
    while tally.n_kills < args.kills and time.monotonic() < end:
        name = torture.random.choices(names, [SCENARIOS[n].share for n in names])[0]
        began = time.monotonic()
        kinds, failures = torture.one_run(name, args.kills - tally.n_kills)
        if not (kinds or failures):
            continue  # it ended before the chosen moment, or someone else stopped it
        tally.add(name, kinds, failures, time.monotonic() - began)
        print(
            f"seed {seed}, {name}: killed during {', '.join(kinds) or 'nothing'}; {tally.n_kills} kills",
            flush=True,
        )
        for failure in failures:
            print(failure, flush=True)
        if args.state:
            args.state.write_text(json.dumps(vars(tally), indent=2) + "\n")
    if not tally.failures:
        shutil.rmtree(work)
    print(tally)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
