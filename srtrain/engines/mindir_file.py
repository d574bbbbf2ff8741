"""The metadata of a MindIR file, read without MindSpore.

MindSpore takes seconds to import, and MindSpore Lite does not need it. A MindIR file is one Protocol Buffers message:
a sequence of fields, each with its number, its kind and its length. Every field except ``user_info``, a map of
strings, can therefore be skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from srtrain.engines.exported import METADATA_KEY, metadata
from srtrain.errors import CheckpointError

_USER_INFO = 14  # the field's number in MindSpore's mind_ir.proto
_KEY, _VALUE = 1, 2  # field numbers of a map entry
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata that ``srtrain export`` stored in a MindIR file; empty if there is none.

    Raises:
        CheckpointError: this is not a MindIR file.
    """
    try:
        with path.open("rb") as file:
            entries = [dict(_fields(file, end)) for end in _user_info(file, path.stat().st_size)]
        texts = {entry[_KEY].decode(): entry[_VALUE].decode() for entry in entries}
    except (OSError, KeyError, ValueError, EOFError, OverflowError) as error:
        raise CheckpointError(
            f"{str(path)!r} is not a MindIR file, or it is damaged. Export it again."
        ) from error
    return metadata(texts.get(METADATA_KEY, ""), path)


def _user_info(file: BinaryIO, end: int) -> Iterator[int]:
    """Move the file to each entry of the map, and yield the position where the entry ends."""
    while file.tell() < end:
        number, kind = divmod(_varint(file), 8)
        n_bytes = _length(file, kind)
        after = file.tell() + n_bytes
        if after > end:
            raise EOFError
        if number == _USER_INFO and kind == _BYTES:
            yield after
        file.seek(after)


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    while file.tell() < end:
        number, kind = divmod(_varint(file), 8)
        yield number, file.read(_length(file, kind))


def _length(file: BinaryIO, kind: int) -> int:
    """Return the number of bytes that follow in a field of this kind."""
    if kind == _VARINT:
        _varint(file)
        return 0
    if kind == _BYTES:
        return _varint(file)
    if kind in (_FIXED64, _FIXED32):
        return 8 if kind == _FIXED64 else 4
    raise ValueError(f"unknown kind of field: {kind}")


def _varint(file: BinaryIO) -> int:
    """Read a variable-length number: seven bits in each byte, lowest first."""
    value = 0
    for place in range(10):
        byte = file.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 127) << 7 * place
        if byte[0] < 128:
            return value
    raise ValueError("a number has more than 64 bits")
