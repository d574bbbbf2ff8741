"""Watch the processes of a run: show the output of rank 0, and end all ranks if one fails or hangs."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TextIO

import psutil

from srtrain.device.interrupt import EXIT_INTERRUPTED
from srtrain.device.progress import EXIT_STUCK, Position, behind
from srtrain.launch.cluster import Job

POLL_SECONDS = 0.2
GRACE_SECONDS = 5.0  # for the other ranks, after one failed: they may be failing for the same reason
STOP_SECONDS = 120.0  # for the other ranks, after one stopped on request: they are saving
DUMP_SECONDS = 2.0  # for stuck ranks to write their stacks
TAIL_LINES = 15

DUMP_SIGNAL = getattr(signal, "SIGUSR1", None)
"""Makes a rank write the stacks of all its threads to its log, even while native code blocks it."""

EXIT_LOST = 76
"""Exit code of a rank that has lost the connection to a rank on another machine."""

EXIT_AT_ONCE = 77
"""Exit code of a rank that a Ctrl-C ended before its training could agree with the others on a step to stop after."""

STOP_CODES = {128 + signal.SIGINT, 128 + signal.SIGTERM}
_NOISE = re.compile(r"^\[(INFO|WARNING)\] [A-Z_]+\(\d+,")
_TIMED_OUT = re.compile(r"The node: (\d+) is timed out")


class Supervisor:
    """Waits for the end of a job. As a context manager it handles Ctrl-C and SIGTERM in the meantime.

    It sends the first of these signals to every rank, and the ranks agree on the step to stop after. The second
    signal ends all ranks at once.
    """

    def __init__(self, job: Job, say: Callable[[str], None], console: TextIO | None = None) -> None:
        self.job = job
        self.say = say
        self._asked: list[int] = []
        self._forwarded = 0
        self._codes: dict[int, int] = {}
        self._console = LogTail(job.log(0), console or sys.stdout) if 0 in job.workers else None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Supervisor:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked.append(number)

    def wait(self) -> int:
        """Return the exit code of the job: 0, or that of the rank that failed first."""
        ended_at: float | None = None
        while len(self._codes) < len(self.job.workers):
            time.sleep(POLL_SECONDS)
            self._show()
            if (code := self._forward_signals()) is not None:
                return code
            self._collect()
            if self._stuck():
                return self._end_stuck()
            if self._codes and any(self._codes.values()):
                ended_at = ended_at or time.monotonic()
                first = next(code for code in self._codes.values() if code)
                if first == EXIT_LOST:
                    return self._end_lost()
                if EXIT_AT_ONCE in self._codes.values():
                    self._kill()  # they would wait for a rank that has ended
                    return EXIT_INTERRUPTED
                grace = STOP_SECONDS if first in STOP_CODES else GRACE_SECONDS
                if time.monotonic() - ended_at > grace:
                    break
            elif (scheduler := self.job.scheduler) is not None and scheduler.poll():
                return self._end_lost()
        return self._end()

    def _show(self, to_the_end: bool = False) -> None:
        if self._console is not None:
            self._console.copy(to_the_end)

    def _forward_signals(self) -> int | None:
        """Send a first signal to every rank; return an exit code after a second signal."""
        if len(self._asked) > 1:
            self.say("second request to stop: ending every rank at once")
            self._kill()
            return 128 + self._asked[0]
        if len(self._asked) > self._forwarded:
            self._forwarded = len(self._asked)
            name = signal.Signals(self._asked[0]).name
            self.say(
                f"{name} was sent to every rank; all stop after the same step. Send it again to end them at once."
            )
            for process in self._alive().values():
                process.send_signal(self._asked[0])
        return None

    def _alive(self) -> dict[int, Any]:
        return {rank: process for rank, process in self.job.workers.items() if process.poll() is None}

    def _collect(self) -> None:
        for rank, process in self.job.workers.items():
            if rank not in self._codes and process.poll() is not None:
                self._codes[rank] = process.returncode

    def _positions(self) -> dict[int, Position]:
        """Return the position of every rank that has not ended."""
        rows = enumerate(self.job.plan.ranks)
        return {rank: self.job.progress.position(row) for row, rank in rows if rank not in self._codes}

    def _stuck(self) -> bool:
        if any(self._codes.values()):
            return False  # a rank has failed, and the others have GRACE_SECONDS to end
        return any(position.stuck(time.monotonic()) for position in self._positions().values())

    def _end_stuck(self) -> int:
        """Have every rank write its stacks, end all ranks, and name the one that the others wait for."""
        positions, now = self._positions(), time.monotonic()
        late = behind(positions)
        paused = [
            r for r, p in self._alive().items() if psutil.Process(p.pid).status() == psutil.STATUS_STOPPED
        ]
        self._show(to_the_end=True)  # without the stacks that follow
        for process in self._alive().values():
            process.send_signal(DUMP_SIGNAL)
        time.sleep(DUMP_SECONDS)
        self._kill()
        limit = max(p.limit_seconds for p in positions.values() if p.stuck(now))
        lines = [f"error: no progress for {limit:g} s (hooks.watchdog.seconds)."]
        if paused:
            lines.append(f"  {_ranks(paused)} paused by a SIGSTOP, so it left no stack.")
        elif len(late) == 1:
            lines.append(f"  rank {late[0]} did not arrive; the others waited for it.")
        elif late:
            lines.append(f"  {_ranks(late)} behind.")
        elif len(positions) > 1:
            lines.append("  All ranks on this machine are at the same point.")
        lines += [f"  rank {rank}: {position.doing}" for rank, position in positions.items()]
        lines.append(
            f"  The stacks of every rank are in {self.job.plan.log_dir}. Continue from the last checkpoint with "
            f"--resume."
        )
        self.say("\n".join(lines))
        return EXIT_STUCK

    def _end_lost(self) -> int:
        """End a job that has lost a rank on another machine. Only the scheduler on machine 0 knows which one."""
        self._kill()
        self._show(to_the_end=True)
        where = "the output on the other machines, and scheduler.log on machine 0"
        who = "MindSpore has lost the connection to a rank on another machine"
        if self.job.scheduler is not None:
            log = self.job.plan.log_dir / "scheduler.log"
            found = _TIMED_OUT.findall(log.read_text(errors="replace"))
            where = f"the output on its machine, and {log}"
            who = (
                f"rank {found[0]} no longer answers"
                if found
                else f"the scheduler failed:\n{last_lines(log)}\n"
            )
        self.say(f"error: {who}. See {where}. Continue from the last checkpoint with --resume.")
        return 1

    def _end(self) -> int:
        """Report the ranks that have ended, and end the others."""
        left = sorted(self._alive())
        self._kill()
        self._show(to_the_end=True)
        failed = {rank: code for rank, code in self._codes.items() if code}
        if not failed:
            self._release_scheduler()
            return 0
        rank, code = min(failed.items()) if _same(failed) else next(iter(failed.items()))
        if code in STOP_CODES and not left:
            return code
        lines = [f"error: {_how(list(failed) if _same(failed) else [rank], code)}."]
        if rank or self._console is None:
            lines += [f"  The last lines of {self.job.log(rank)}:", last_lines(self.job.log(rank))]
        if left:
            lines.append(f"  {_ranks(left)} ended by the launcher, because a run needs all its ranks.")
        self.say("\n".join(lines))
        return code if code > 0 else 128 - code

    def _release_scheduler(self) -> None:
        """Wait for the scheduler, which other machines may still need."""
        if self.job.scheduler is not None and self.job.plan.n_nodes > 1:
            self.job.scheduler.wait()

    def _kill(self) -> None:
        for process in self._alive().values():
            process.kill()
            process.wait()


class LogTail:
    """Copies the lines that are appended to a file, without MindSpore's internal messages."""

    def __init__(self, file: Path, to: TextIO) -> None:
        self._file = file.open("rb")
        self._to = to

    def copy(self, to_the_end: bool = False) -> None:
        """Copy the new complete lines; with ``to_the_end`` also an incomplete last line."""
        while line := self._file.readline():
            if not (line.endswith(b"\n") or to_the_end):
                self._file.seek(-len(line), os.SEEK_CUR)
                break
            text = line.decode(errors="replace")
            if not _NOISE.match(text):
                self._to.write(text)
        self._to.flush()


def last_lines(file: Path) -> str:
    """Return the end of a log, indented, without MindSpore's internal messages."""
    lines = [
        line for line in file.read_text(errors="replace").splitlines() if line and not _NOISE.match(line)
    ]
    return "\n".join(f"    {line}" for line in lines[-TAIL_LINES:]) or "    (nothing)"


def _same(codes: dict[int, int]) -> bool:
    return len(set(codes.values())) == 1


def _how(ranks: list[int], code: int) -> str:
    who = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {', '.join(map(str, sorted(ranks)))}"
    if code >= 0:
        return f"{who} ended with exit code {code}"
    cause = " (the system does this when memory runs out)" if code == -signal.SIGKILL else ""
    return f"{who} {'was' if len(ranks) == 1 else 'were'} killed by {signal.Signals(-code).name}{cause}"


def _ranks(ranks: list[int]) -> str:
    return f"rank {ranks[0]} was" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))} were"
