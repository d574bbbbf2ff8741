"""TensorBoard's event file of a run. It is complete up to the last event, and a resumed run continues it exactly."""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from srtrain.files import write_whole

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

PREFIX = "events.out.tfevents."
"""Beginning of the name of each event file, by which TensorBoard finds it."""


class EventFile:
    """Writes events one by one, without a queue, so that a kill loses none.

    A resumed run keeps the first ``keep`` bytes of the earlier file under a new, later name, and deletes the earlier
    file: a TensorBoard that is running then reads the new file. Each file begins with an event that makes TensorBoard
    forget what it has read before.

    Args:
        folder: the run folder.
        suffix: end of the name; a run may have several event files, each with its own suffix.
        keep: number of bytes to keep of the earlier file with this suffix.
    """

    def __init__(self, folder: Path, suffix: str, keep: int = 0) -> None:
        earlier = sorted(folder.glob(f"{PREFIX}*{suffix}"))
        kept = whole_records(earlier[-1].read_bytes()[:keep]) if earlier and keep else b""
        self.continues = bool(kept)
        number = max([int(time.time()), *(_number(file) + 1 for file in earlier)])
        self.path = folder / f"{PREFIX}{number:010d}.{socket.gethostname()}{suffix}"
        write_whole(self.path, kept or _beginning())
        for file in earlier:
            file.unlink()
        self._file = self.path.open("ab", buffering=0)

    def add(self, summary: Summary, step: int) -> None:
        """Write one event.

        Raises:
            OSError: the disk is full.
        """
        from tensorboardX.proto.event_pb2 import Event  # slow to import

        event = Event(wall_time=time.time(), step=step, summary=summary)
        left = memoryview(_record(event.SerializeToString()))
        try:
            while left:  # on a disk that is nearly full, only a part is written at first
                left = left[self._file.write(left) :]
        except OSError as error:
            error.filename = str(self.path)
            raise

    def flushed_bytes(self) -> int:
        """Wait until the file is on the disk; return its size."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def whole_records(data: bytes) -> bytes:
    """Return the complete records at the beginning of an event file; a kill may have cut the last one short."""
    end = 0
    while end + 12 <= len(data):
        (length,) = struct.unpack("<Q", data[end : end + 8])
        if end + 16 + length > len(data):
            break
        end += 16 + length
    return data[:end]


def _record(content: bytes) -> bytes:
    """Return a record: length, its checksum, the content, its checksum."""
    from tensorboardX.record_writer import masked_crc32c

    length = struct.pack("<Q", len(content))
    sums = (struct.pack("<I", masked_crc32c(part)) for part in (length, content))
    return length + next(sums) + content + next(sums)


def _beginning() -> bytes:
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    now = time.time()
    version = Event(wall_time=now, file_version="brain.Event:2")
    start = Event(wall_time=now, step=0, session_log=SessionLog(status=SessionLog.START))
    return b"".join(_record(event.SerializeToString()) for event in (version, start))


def _number(file: Path) -> int:
    digits = file.name.removeprefix(PREFIX).split(".")[0]
    return int(digits) if digits.isdecimal() else 0
