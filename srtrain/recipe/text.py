"""A recipe as flat ``key = value`` lines, and the differences between two recipes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from srtrain.recipe.schema import Epochs, Recipe, Spec


def flatten(recipe: Recipe) -> dict[str, Any]:
    """Return all values of a recipe by the dotted keys that override them."""
    return dict(_leaves(recipe, ""))


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Epochs)):
        parts = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    elif isinstance(value, Spec):
        yield key, value.name
        parts = value.args
    elif isinstance(value, dict) and value:
        parts = value
    else:
        yield key, value
        return
    for name, part in parts.items():
        yield from _leaves(part, f"{key}.{name}" if key else name)


def differences(old: Recipe, new: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the values that differ, each as (old, new); a key that one recipe lacks counts as ``None``."""
    before, after = flatten(old), flatten(new)
    keys = dict.fromkeys([*before, *after])
    return {k: (before.get(k), after.get(k)) for k in keys if before.get(k) != after.get(k)}


def to_text(recipe: Recipe, original: Recipe | None = None) -> str:
    """Return flat ``key = value`` lines; values that differ from ``original`` are marked with the old value."""
    changed = differences(original, recipe) if original else {}
    lines = []
    for key, value in flatten(recipe).items():
        mark = f"    # command line; the recipe says {_show(changed[key][0])}" if key in changed else ""
        lines.append(f"{key} = {_show(value)}{mark}")
    return "\n".join(lines)


def _show(value: Any) -> str:
    return str(value) if isinstance(value, Epochs) else repr(value)
