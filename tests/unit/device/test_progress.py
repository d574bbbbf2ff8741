"""The progress of a process is visible to another process."""

import subprocess
import sys
import time

import pytest

from srtrain.device.progress import FILE_VARIABLE, POINTS, Position, Progress, behind

WORKER = """
import os, signal
from srtrain.device.progress import Progress
progress = Progress.of_this_process()
progress.watch(7)
progress.passed("setup", 0)
progress.passed("after_step", 3)
os.kill(os.getpid(), signal.SIGKILL)  # no time to say good-bye
"""


def test_another_process_sees_the_last_point_of_one_that_died(tmp_path):
    file = tmp_path / "progress"
    file.touch()
    seen = Progress(file, n_rows=2)
    environment = {FILE_VARIABLE: str(file), "DEVICE_ID": "1"}
    before = time.monotonic()
    subprocess.run([sys.executable, "-c", WORKER], env=environment, check=False)
    position = seen.position(1)
    assert (position.passed, position.point, position.step, position.limit_seconds) == (2, "after_step", 3, 7)
    assert before < position.beat < time.monotonic()
    assert position.doing == "after update 3, waiting for the next batch or in a hook before update 4"
    assert seen.position(0) == Position(0, "", 0, 0, 0)


def test_alone_a_process_has_a_row_of_its_own(monkeypatch):
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    progress = Progress.of_this_process()
    assert not progress.watched_from_outside
    progress.passed("before_train", 5)
    first = progress.position()
    progress.beat()
    assert progress.position().beat > first.beat
    assert progress.position().passed == 1


def test_stuck_is_silence_beyond_the_limit():
    position = Position(3, "before_step", 2, limit_seconds=10, beat=100)
    assert not position.stuck(110)
    assert position.stuck(110.1)
    assert not Position(3, "before_step", 2, limit_seconds=0, beat=100).stuck(1e9)  # nobody asked


def at(passed, point="before_step", beat=0.0):
    return Position(passed, point, 1, 10, beat)


@pytest.mark.parametrize(
    ("positions", "late"),
    [
        ({0: at(5), 1: at(4)}, [1]),
        ({0: at(4), 1: at(5), 2: at(4)}, [0, 2]),
        ({0: at(5), 1: at(5)}, []),
        ({0: at(5, "before_eval", beat=9), 1: at(5, "before_eval", beat=3)}, [1]),
        ({0: at(5)}, []),
    ],
)
def test_who_is_behind(positions, late):
    assert behind(positions) == late


@pytest.mark.parametrize("point", POINTS)
def test_every_point_has_words(point):
    assert Position(1, point, 2, 0, 0).doing
