"""How far each process of a run has come, in a few bytes of shared memory that are readable while it is stuck.

The launcher makes the file and gives each of its processes a row; a process without a launcher keeps one row
to itself. Writing costs a microsecond, so every step may.
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
"""Environment variable: the file that the launcher made."""
LOCAL_VARIABLE = "SRTRAIN_LOCAL_PROCESSES"
"""Environment variable: how many processes of the launcher share this machine."""

EXIT_STUCK = 75
"""Exit code of a run that made no progress: a temporary failure by sysexits.h, to be started again."""

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
    "setup": "getting ready to train",
    "before_train": "waiting for its first batch, or in a hook's before_step",
    "before_step": "in update {next}, or in a hook after it",
    "after_step": "past update {step}, waiting for the next batch or in a hook before update {next}",
    "before_eval": "evaluating after update {step}",
    "after_eval": "past an evaluation after update {step}, in a hook",
    "after_save": "past saving update {step}, in a hook",
    "after_train": "past the last update, ending",
}


@dataclass(frozen=True)
class Position:
    """Where one process is.

    Attributes:
        passed: points passed so far; the processes of a run pass the same ones in the same order.
        point: the last of them.
        step: finished updates.
        limit_seconds: time without a sign of life that counts as stuck; 0 where nobody asked for a limit.
        beat: ``time.monotonic()`` of the last sign of life.
    """

    passed: int
    point: str
    step: int
    limit_seconds: float
    beat: float

    @property
    def doing(self) -> str:
        """What the process is at, in words."""
        return _DOING[self.point].format(step=self.step, next=self.step + 1)

    def stuck(self, now: float) -> bool:
        """Return whether there was no sign of life within the limit."""
        return 0 < self.limit_seconds < now - self.beat


class Progress:
    """The rows of one machine's processes, and which of them is this process's."""

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
        """Return the row that the launcher gave this process, or one of its own."""
        file = os.environ.get(FILE_VARIABLE)
        if file is None:
            return cls()
        row = int(os.environ["DEVICE_ID"])  # msrun numbers the processes of a machine with it
        return cls(Path(file), row + 1, row)

    def watch(self, seconds: float) -> None:
        """From now on, ``seconds`` without a sign of life count as stuck; 0 ends that."""
        self._limit = seconds
        self.beat()

    def passed(self, point: str, step: int) -> None:
        """Note that a point is behind this process."""
        self._passed += 1
        self._point, self._step = POINTS.index(point), step
        self.beat()

    def beat(self) -> None:
        """Give a sign of life within a long piece of work, such as each picture of an evaluation."""
        values = (self._passed, self._point, self._step, self._limit, time.monotonic())
        _ROW.pack_into(self._memory, self._offset, *values)

    def position(self, row: int | None = None) -> Position:
        """Return where a process is; by default this one."""
        offset = self._offset if row is None else row * _ROW.size
        passed, point, step, limit, beat = _ROW.unpack_from(self._memory, offset)
        return Position(passed, POINTS[point], step, limit, beat)


def behind(positions: Mapping[int, Position]) -> list[int]:
    """Return the ranks that the others wait for; empty where all stand at the same point."""
    least = min(position.passed for position in positions.values())
    late = [rank for rank, position in positions.items() if position.passed == least]
    if len(late) < len(positions):
        return late
    if all(position.point == "before_eval" for position in positions.values()):
        # Each scores its own pictures, then waits: who waits fell silent last.
        return [min(positions, key=lambda rank: positions[rank].beat)]
    return []
