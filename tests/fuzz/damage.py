"""Ways to damage a file. Each takes a source of random numbers and the sound bytes, and returns other bytes."""

import json
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

Damage = Callable[[random.Random, bytes], bytes]

_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)
_VALUES: tuple[Any, ...] = (
    *(None, True, "", "x", "\ud800", "../../etc/passwd", [], {}, [[]], -1, 0, 1, 2**31, 2**63, 10**30, 0.5),
    *(float("nan"), float("inf"), -1e300),
)


def flipped(rng: random.Random, data: bytes) -> bytes:
    """Flip one to eight bits."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng: random.Random, data: bytes) -> bytes:
    """Cut the end off."""
    return data[: rng.randrange(len(data) + 1)]


def filled(rng: random.Random, data: bytes) -> bytes:
    """Overwrite a part with one byte, as a disk with a bad sector does."""
    start = rng.randrange(len(data) + 1)
    n = min(rng.choice((1, 4, 64, 512)), len(data) - start)
    return data[:start] + bytes([rng.choice((0, 255, rng.randrange(256)))]) * n + data[start + n :]


def inserted(rng: random.Random, data: bytes) -> bytes:
    """Insert random bytes, or a part of the file once more."""
    at, start = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
    more = rng.randbytes(rng.choice((1, 3, 40))) if rng.random() < 0.5 else data[start : start + 200]
    return data[:at] + more + data[at:]


def removed(rng: random.Random, data: bytes) -> bytes:
    """Remove a part from the middle."""
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 2, 16, 300)) :]


def renumbered(rng: random.Random, data: bytes) -> bytes:
    """Replace two, four or eight bytes by a number that often breaks a reader. Headers are hit most."""
    code = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(code)
    if len(data) <= size:
        return data[:1]
    at = rng.randrange(min(len(data) - size, 64 if rng.random() < 0.6 else len(data)))
    number = rng.choice(_NUMBERS) % 256**size
    return data[:at] + struct.pack(code, number) + data[at + size :]


def foreign(rng: random.Random, data: bytes) -> bytes:
    """Return something else altogether."""
    kinds = (
        b"",
        b"\0" * 1000,
        rng.randbytes(400),
        b"<html>404</html>",
        b"\xff" * 50,
        b"version https://git-lfs",
    )
    return rng.choice((*kinds, b"[" * 20_000, b"PK\x03\x04", b"\x80\x02.", data[::-1]))


BYTES: tuple[Damage, ...] = (flipped, cut, filled, inserted, removed, renumbered, foreign)
"""Ways that know nothing about the format."""


def any_bytes(rng: random.Random, data: bytes) -> bytes:
    """Damage a file without knowing its format."""
    return rng.choice(BYTES)(rng, data)


def png(rng: random.Random, data: bytes) -> bytes:
    """Change one chunk of a PNG and correct its checksum, so that the reader looks at the content."""
    chunks, at = [], 8
    while at < len(data):
        (n,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + n]))
        at += 12 + n
    i = rng.randrange(len(chunks))
    name, body = chunks[i]
    way = rng.randrange(4)
    if way == 0 or name == b"IHDR":
        body = renumbered(rng, body) if rng.random() < 0.7 else flipped(rng, body)
    elif way == 1:
        chunks.insert(rng.randrange(len(chunks)), (name, body))
    elif way == 2:
        name = rng.choice((b"tRNS", b"PLTE", b"acTL", b"iCCP", b"zTXt", b"eXIf", b"IDAT", b"gAMA"))
    else:
        body = rng.choice((b"", zlib.compress(bytes(3_000_000)), rng.randbytes(30)))
    chunks[i] = (name, body)
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def json_value(rng: random.Random, data: bytes) -> bytes:
    """Change, remove or add one value somewhere in a JSON text, or in one line of a file of such lines."""
    lines = data.decode().splitlines() if data.count(b"\n{") else [data.decode()]
    i = rng.randrange(len(lines))
    value = json.loads(lines[i])
    places: list[tuple[Any, Any]] = []

    def walk(inside: Any) -> None:
        for key in inside if isinstance(inside, dict) else range(len(inside)):
            places.append((inside, key))
            if isinstance(inside[key], (dict, list)):
                walk(inside[key])

    walk(value if isinstance(value, (dict, list)) else [value])
    if not places:
        return b"{}"
    inside, key = rng.choice(places)
    way = rng.random()
    if way < 0.2:
        del inside[key]
    elif way < 0.3 and isinstance(inside, dict):
        inside["unknown"] = inside.pop(key)
    elif way < 0.4:
        inside[key] = [inside[key]]
    else:
        inside[key] = rng.choice(_VALUES)
    lines[i] = json.dumps(value)
    return "\n".join([*lines, ""]).encode()
