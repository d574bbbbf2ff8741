"""Read JSON that something else may have damaged: every fault is one error that names the file.

The reader checks the content against a declared shape, so that the code after it can rely on keys and types:

    STATE = {"step": Whole(0), "score?": {"value": float}}     # a key with a question mark may be missing
    state = read_json(file, STATE)

A shape is a type (``float`` means any number), ``FINITE``, ``Whole``, ``None``, a tuple of alternatives, a list with
the shape of each item, ``{str: shape}`` for an object with any keys, or an object with the shape of each key. Keys that
the shape does not list are kept.
"""

from __future__ import annotations

import json
import math
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srtrain.errors import CheckpointError, UserError, first_line

MAX_BYTES = 2**28
"""Largest JSON file that is read; srtrain writes none that comes near."""

_MAX_DEPTH = 100  # Python's own functions for nested values fail at about 1000
_INT64 = 2**63


FINITE = "a finite number"
"""The shape of a number that is neither infinite nor NaN."""


@dataclass(frozen=True)
class Whole:
    """The shape of a whole number between two limits, both included."""

    low: int = 0
    high: int = _INT64 - 1


def read_json(file: Path, shape: Any, *, error: type[UserError] = CheckpointError, remedy: str = "") -> Any:
    """Return the content of a JSON file.

    Args:
        file: a regular file, in UTF-8.
        shape: see the module.
        error: the kind of error to raise.
        remedy: the end of its message: what to do.

    Raises:
        UserError: of the kind ``error``: the file cannot be read, is no JSON, or has another shape.
    """
    try:
        return checked(read_text(file), shape)
    except (OSError, ValueError) as fault:
        raise error(f"{str(file)!r} is damaged ({reason_of(fault)}). {remedy}".rstrip()) from fault


def read_text(file: Path) -> str:
    """Return the text of a small file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, is larger than ``MAX_BYTES``, or is not UTF-8.
    """
    about = file.stat()
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("it is not a regular file")
    if about.st_size > MAX_BYTES:
        raise ValueError(f"it has {about.st_size:,} bytes, more than any file of its kind")
    return file.read_text(encoding="utf-8")


def checked(text: str | bytes, shape: Any) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is no JSON, is nested too deeply, has a number or a text that nothing can use, or has another
            shape.
    """
    try:
        value = json.loads(text, parse_int=_int)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_values(value)
    if fault := fault_of(value, shape):
        raise ValueError(fault)
    return value


def reason_of(error: BaseException) -> str:
    """Return the first line of an error, to go into a sentence; of an ``OSError`` without its number and path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return first_line(error).rstrip(".")


def _int(digits: str) -> int:
    value = int(digits) if len(digits) < 25 else _INT64
    if not -_INT64 <= value < _INT64:
        raise ValueError(f"the number {digits[:20]}… has more than 64 bits")
    return value


def _check_values(value: Any) -> None:
    """Refuse values nested too deeply, and text that is not valid Unicode. Without recursion, which they would end."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        inside: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inside += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                inside += item
            elif isinstance(item, str) and not item.isascii():
                item.encode()  # a lone surrogate raises a UnicodeEncodeError, which is a ValueError
        if not inside:
            return
        level = inside
    raise ValueError("it is nested too deeply")


def fault_of(value: Any, shape: Any, where: str = "") -> str:
    """Return what is wrong with a value, or an empty string if it has the shape; ``where`` is its place."""
    if isinstance(shape, tuple):
        faults = [fault_of(value, alternative, where) for alternative in shape]
        return "" if "" in faults else faults[0]
    if isinstance(shape, Whole):
        good = type(value) is int and shape.low <= value <= shape.high
        limits = f"from {shape.low} on" if shape.high == _INT64 - 1 else f"from {shape.low} to {shape.high}"
        return "" if good else _says(where, value, f"a whole number {limits}")
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _says(where, value, "a list")
        items = (fault_of(item, shape[0], f"{where}[{i}]") for i, item in enumerate(value))
        return next(filter(None, items), "")
    if isinstance(shape, dict):
        return _fault_of_object(value, shape, where)
    if shape is None:
        return "" if value is None else _says(where, value, "null")
    if shape is float or shape is FINITE:
        good = type(value) in (int, float) and (shape is float or math.isfinite(value))
        return "" if good else _says(where, value, FINITE if shape is FINITE else "a number")
    if shape is object or type(value) is shape:
        return ""
    return _says(
        where, value, {str: "text", dict: "an object", bool: "true or false"}.get(shape, shape.__name__)
    )


def _fault_of_object(value: Any, shape: dict[Any, Any], where: str) -> str:
    if not isinstance(value, dict):
        return _says(where, value, "an object")
    if str in shape:
        faults = (fault_of(item, shape[str], _inside(where, key)) for key, item in value.items())
        return next(filter(None, faults), "")
    for name, inner in shape.items():
        key = name.removesuffix("?")
        if key not in value:
            if name == key:
                return f"it has no {_inside(where, key)!r}"
        elif fault := fault_of(value[key], inner, _inside(where, key)):
            return fault
    return ""


def _inside(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _says(where: str, value: Any, wanted: str) -> str:
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= 40 else shown[:40] + "…"
    return f"{where!r} is {shown} instead of {wanted}" if where else f"it holds {shown} instead of {wanted}"
