"""A recipe as flat ``key = value`` lines, and the differences between two recipes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from srtrain.errors import MASK, RecipeError, masked, without_credentials
from srtrain.recipe.schema import Epochs, Recipe, Spec

MASKED = re.compile(rf"://{re.escape(MASK)}@|={re.escape(MASK)}")


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
    """Return the values that differ, each as (old, new), with masked credentials; a missing key counts as ``None``.

    Addresses that differ only in their credentials are equal, because a run folder does not record them.
    """
    before, after = flatten(old), flatten(new)
    keys = dict.fromkeys([*before, *after])
    return {
        key: (_shown(before.get(key)), _shown(after.get(key)))
        for key in keys
        if _without_credentials(before.get(key)) != _without_credentials(after.get(key))
    }


def refuse_masked(recipe: Recipe) -> None:
    """Refuse addresses whose credentials are missing, because a run folder does not record them.

    Raises:
        RecipeError: names their keys.
    """
    keys = [key for key, value in flatten(recipe).items() if isinstance(value, str) and MASKED.search(value)]
    if keys:
        raise RecipeError(
            f"the run was recorded without the credentials in {', '.join(keys)}. Give the whole address again: "
            f"{keys[0]}=ADDRESS."
        )


def _shown(value: Any) -> Any:
    return masked(value) if isinstance(value, str) else value


def _without_credentials(value: Any) -> Any:
    return without_credentials(value) if isinstance(value, str) else value


def to_text(recipe: Recipe, original: Recipe | None = None) -> str:
    """Return flat ``key = value`` lines; values that differ from ``original`` are marked with the old value."""
    changed = differences(original, recipe) if original else {}
    lines = []
    for key, value in flatten(recipe).items():
        mark = f"    # command line; the recipe says {show(changed[key][0])}" if key in changed else ""
        lines.append(f"{key} = {show(value)}{mark}")
    return "\n".join(lines)


def show(value: Any) -> str:
    """Return a value as an override takes it, without credentials."""
    return str(value) if isinstance(value, Epochs) else masked(repr(value))
