"""The supervision of real processes that end, print, stop and hang; none of them trains a network."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from srtrain.device.progress import EXIT_STUCK, Progress
from srtrain.launch.cluster import Job, Plan
from srtrain.launch.supervise import LogTail, Supervisor, last_lines

PRELUDE = """
import faulthandler, os, signal, sys, time
from pathlib import Path
from srtrain.device.progress import Progress
faulthandler.register(signal.SIGUSR1)
row = int(sys.argv[2])
progress = Progress(Path(sys.argv[1]), row + 1, row)
print("here is rank", row, flush=True)
"""


@pytest.fixture
def supervise(tmp_path, monkeypatch, capsys):
    """Run each script as a process until all end; return the exit code, the messages and rank 0's output."""
    monkeypatch.setattr("srtrain.launch.supervise.GRACE_SECONDS", 0.5)
    monkeypatch.setattr("srtrain.launch.supervise.DUMP_SECONDS", 0.5)
    started = []

    def run(*scripts, before=lambda job: None):
        file = tmp_path / "progress"
        file.touch()
        plan = Plan(len(scripts), tmp_path)
        progress = Progress(file, len(scripts))
        workers = {}
        for rank, script in enumerate(scripts):
            with (tmp_path / f"worker_{rank}.log").open("w") as log:
                workers[rank] = subprocess.Popen(
                    [sys.executable, "-c", PRELUDE + script, str(file), str(rank)],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
        started.extend(workers.values())
        job = Job(plan, workers, None, progress)
        said = []
        with Supervisor(job, said.append) as supervisor:
            before(job)
            code = supervisor.wait()
        assert all(process.poll() is not None for process in workers.values())
        return code, "\n".join(said), capsys.readouterr().out

    yield run
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def test_all_well(supervise):
    assert supervise("", "") == (0, "", "here is rank 0\n")


def test_the_first_to_fail_is_named_with_its_last_words(supervise, tmp_path):
    code, said, shown = supervise("time.sleep(60)", "raise ValueError('oh no')")
    assert code == 1
    assert [line for line in said.splitlines() if "File" not in line] == [
        "error: rank 1 ended with exit code 1.",
        f"  The last lines of {tmp_path / 'worker_1.log'}:",
        "    here is rank 1",
        "    Traceback (most recent call last):",
        "    ValueError: oh no",
        "  rank 0 was ended by the launcher, because a run needs all its ranks.",
    ]
    assert shown == "here is rank 0\n"


def test_what_rank_0_said_is_not_said_twice(supervise, monkeypatch):
    monkeypatch.setattr("srtrain.launch.supervise.GRACE_SECONDS", 20)  # enough for both to end by themselves
    code, said, shown = supervise("print('wrong recipe'); sys.exit(2)", "sys.exit(2)")
    assert (code, said) == (2, "error: ranks 0, 1 ended with exit code 2.")
    assert "wrong recipe" in shown
    # Rank 1 ends first now.
    code, said, shown = supervise("time.sleep(1); print('wrong recipe'); sys.exit(2)", "sys.exit(2)")
    assert (code, said) == (2, "error: ranks 0, 1 ended with exit code 2.")


def test_a_killed_rank_ends_with_the_shells_code(supervise):
    code, said, _ = supervise("time.sleep(60)", "os.kill(os.getpid(), signal.SIGKILL)")
    assert code == 137
    assert "rank 1 was killed by SIGKILL (the system does this when memory runs out)" in said


WAITS = "progress.watch(2); progress.passed('before_step', 7); time.sleep(60)"
LATE = "progress.watch(2); time.sleep(60)"


@pytest.mark.slow
def test_a_stuck_rank_is_named_and_stacks_are_kept(supervise, tmp_path):
    code, said, shown = supervise(WAITS, LATE)
    assert code == EXIT_STUCK
    assert said.splitlines() == [
        "error: no progress for 2 s (hooks.watchdog.seconds).",
        "  rank 1 did not arrive; the others waited for it.",
        "  rank 0: in update 8, or in a hook after it",
        "  rank 1: starting",
        f"  The stacks of every rank are in {tmp_path}. Continue from the last checkpoint with --resume.",
    ]
    for rank in (0, 1):
        assert 'File "<string>", line' in (tmp_path / f"worker_{rank}.log").read_text()
    assert shown == "here is rank 0\n"


@pytest.mark.slow
def test_a_paused_rank_is_told_from_a_stuck_one(supervise):
    pause = LATE.replace("time", "os.kill(os.getpid(), signal.SIGSTOP); time")
    code, said, _ = supervise(WAITS, pause)
    assert code == EXIT_STUCK
    assert "rank 1 was paused by a SIGSTOP, so it left no stack" in said


POLITE = """
def stop(number, frame):
    print("stopping", flush=True)
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
progress.passed("setup", 0)
time.sleep(60)
"""


def when_ready(job, act):
    """Call a function after every rank has started."""

    def wait():
        deadline = time.monotonic() + 30
        while any(job.progress.position(row).passed == 0 for row in range(len(job.workers))):
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)
        act()

    threading.Thread(target=wait).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_goes_to_every_rank(supervise, tmp_path, number):
    code, said, _ = supervise(
        POLITE, POLITE, before=lambda job: when_ready(job, lambda: os.kill(os.getpid(), number))
    )
    assert code == 128 + number
    assert said.count(f"{number.name} was sent to every rank") == 1
    assert all("stopping" in (tmp_path / f"worker_{rank}.log").read_text() for rank in (0, 1))


def test_a_second_request_ends_at_once(supervise):
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprogress.passed('setup', 0)\ntime.sleep(60)"

    def twice():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    code, said, _ = supervise(deaf, deaf, before=lambda job: when_ready(job, twice))
    assert code == 143
    assert "second request to stop: ending every rank at once" in said


def test_signals_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with Supervisor(Job(Plan(1, tmp_path, node_rank=1), {}, None, Progress()), print):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


NOISE = "[WARNING] DISTRIBUTED(12,7f0,python3):2026-01-01 [x.cc:1] f] Topology build timed out\n"


def test_a_log_is_copied_line_by_line_without_noise(tmp_path):
    file, to = tmp_path / "log", io.StringIO()
    file.write_text("one\n" + NOISE + "tw")
    tail = LogTail(file, to)
    tail.copy()
    assert to.getvalue() == "one\n"
    with file.open("a") as more:
        more.write("o\nthree")
    tail.copy()
    assert to.getvalue() == "one\ntwo\n"
    tail.copy(to_the_end=True)
    assert to.getvalue() == "one\ntwo\nthree"


def test_the_last_lines_are_those_that_say_something(tmp_path):
    file = Path(tmp_path / "log")
    file.write_text("".join(f"line {i}\n" for i in range(30)) + NOISE * 40)
    assert last_lines(file).splitlines() == [f"    line {i}" for i in range(15, 30)]
    file.write_text("")
    assert last_lines(file) == "    (nothing)"
