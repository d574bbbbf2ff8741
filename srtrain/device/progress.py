"""Signs of life: how far each process of a run is, in shared memory that is readable while the process hangs.

The launcher creates a file and gives each of its processes one row. A process without a launcher has a private row.
Writing takes a microsecond, so it is done in every step.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE_VARIABLE = "SRTRAIN_PROGRESS"
"""Environment variable: the file that the launcher created."""
LOCAL_VARIABLE = "SRTRAIN_LOCAL_PROCESSES"
"""Environment variable: the number of processes on this machine."""

EXIT_STUCK = 75
"""Exit code of a run that hung: a temporary failure by sysexits.h, so the run may be started again."""

_ROW = struct.Struct("=qqqdd")

POINTS = (
    "",
    "setup",
    "before_train",
    "before_step",
    "after_step",
    "before_eval",
    "after_eval",
    "after_save",
    "after_train",
)
_DOING = {
    "": "starting",
    "setup": "preparing the training",
    "before_train": "waiting for the first batch, or in before_step of a hook",
    "before_step": "in update {next}, or in a hook after it",
    "after_step": "after update {step}, waiting for the next batch or in a hook before update {next}",
    "before_eval": "evaluating after update {step}",
    "after_eval": "after the evaluation at update {step}, in a hook",
    "after_save": "after saving update {step}, in a hook",
    "after_train": "after the last update, ending",
}


@dataclass(frozen=True)
class Position:
    """How far one process is.

    Attributes:
        passed: number of points passed. All processes of a run pass the same points in the same order.
        point: the last point passed.
        step: number of finished updates.
        limit_seconds: time without a sign of life after which the process counts as stuck; 0 for no limit.
        beat: ``time.monotonic()`` of the last sign of life.
    """

    passed: int
    point: str
    step: int
    limit_seconds: float
    beat: float

    @property
    def doing(self) -> str:
        """What the process is doing, for a message."""
        return _DOING[self.point].format(step=self.step, next=self.step + 1)

    def stuck(self, now: float) -> bool:
        """Return whether the last sign of life is older than the limit."""
        return 0 < self.limit_seconds < now - self.beat


class Progress:
    """The rows of all processes of one machine; this process writes to its own row."""

    def __init__(self, file: Path | None = None, n_rows: int = 1, row: int = 0) -> None:
        size = n_rows * _ROW.size
        if file is None:
            self._memory = mmap.mmap(-1, size)
        else:
            with file.open("r+b") as opened:
                opened.truncate(max(size, file.stat().st_size))
                self._memory = mmap.mmap(opened.fileno(), size)
        self.watched_from_outside = file is not None
        self._offset = row * _ROW.size
        self._passed = 0
        self._point = 0
        self._step = 0
        self._limit = 0.0

    @classmethod
    def of_this_process(cls) -> Progress:
        """Return the row that the launcher gave this process, or a private one."""
        file = os.environ.get(FILE_VARIABLE)
        if file is None:
            return cls()
        row = int(os.environ["DEVICE_ID"])  # the number of the process on its machine
        return cls(Path(file), row + 1, row)

    def watch(self, seconds: float) -> None:
        """Set the time without a sign of life after which this process counts as stuck; 0 for no limit."""
        self._limit = seconds
        self.beat()

    def passed(self, point: str, step: int) -> None:
        """Record that this process has passed a point."""
        self._passed += 1
        self._point, self._step = POINTS.index(point), step
        self.beat()

    def beat(self) -> None:
        """Give a sign of life during long work, such as after each picture of an evaluation."""
        values = (self._passed, self._point, self._step, self._limit, time.monotonic())
        _ROW.pack_into(self._memory, self._offset, *values)

    def position(self, row: int | None = None) -> Position:
        """Return the position of a process; by default this one."""
        offset = self._offset if row is None else row * _ROW.size
        passed, point, step, limit, beat = _ROW.unpack_from(self._memory, offset)
        return Position(passed, POINTS[point], step, limit, beat)


def behind(positions: Mapping[int, Position]) -> list[int]:
    """Return the ranks that the others wait for; empty if all ranks are at the same point."""
    least = min(position.passed for position in positions.values())
    late = [rank for rank, position in positions.items() if position.passed == least]
    if len(late) < len(positions):
        return late
    if all(position.point == "before_eval" for position in positions.values()):
        # Each rank scores its own pictures and then waits. The slow rank is the one that was silent longest.
        return [min(positions, key=lambda rank: positions[rank].beat)]
    return []
