"""Check the types and values of a recipe before anything is built."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any

from srtrain.errors import RecipeError
from srtrain.recipe.schema import Benchmark, Epochs, Recipe
from srtrain.registry import sources_of

ABOVE_ZERO = (
    "train.steps",
    "train.epochs",
    "train.steps_per_epoch",
    "train.log_every",
    "train.accumulate",
    "train.sink_steps",
    "data.batch_size",
    "data.gt_patch_px",
    "data.workers",
    "scale",
    "optim.clip_norm",
)
"""Keys of numbers that must be above 0, or ``None`` where the type allows it."""

CHOICES = {"train.mode": ("graph", "pynative"), "data.cache": ("memory", "mmap", "none")}
"""Keys whose value is one of a few words."""


def check_recipe(recipe: Recipe) -> None:
    """Check every type and value that can be checked before anything is built.

    Raises:
        RecipeError: lists all mistakes, one per line.
    """
    mistakes = list(_type_mistakes(recipe, ""))
    if not mistakes:
        mistakes += _value_mistakes(recipe)
    raise_all(mistakes)


def _type_mistakes(owner: Any, prefix: str) -> Iterator[str]:
    hints = typing.get_type_hints(type(owner))
    for part in dataclasses.fields(owner):
        key, value = prefix + part.name, getattr(owner, part.name)
        if mistake := type_mistake(key, value, hints[part.name]):
            yield mistake
        elif dataclasses.is_dataclass(value) and not isinstance(value, (type, Epochs)):
            yield from _type_mistakes(value, key + ".")
        elif isinstance(value, dict):
            for name, item in value.items():
                if isinstance(item, Benchmark):
                    yield from _type_mistakes(item, f"{key}.{name}.")


def _value_mistakes(recipe: Recipe) -> list[str]:
    train, data = recipe.train, recipe.data
    mistakes = []
    if (train.steps is None) == (train.epochs is None):
        mistakes.append(
            f"train.steps={train.steps!r} and train.epochs={train.epochs!r}: exactly one of them must be set. Set the "
            f"other to None."
        )
    for key in ABOVE_ZERO:
        value = attrgetter(key)(recipe)
        number = value.n if isinstance(value, Epochs) else value
        if number is not None and number <= 0:
            mistakes.append(f"{key} = {number!r} must be above 0.")
    if train.threads < 0:
        mistakes.append(f"train.threads = {train.threads!r} must be 0 (all cores) or more.")
    for key, choices in CHOICES.items():
        value = attrgetter(key)(recipe)
        if value not in choices:
            *words, last = map(repr, choices)
            mistakes.append(f"{key} = {value!r} must be {', '.join(words)} or {last}.")
    if recipe.scale > 0 and data.gt_patch_px % recipe.scale:
        mistakes.append(
            f"data.gt_patch_px = {data.gt_patch_px} is not a multiple of scale = {recipe.scale}, so the input "
            f"patch would not have whole pixels. Nearest: {max(1, data.gt_patch_px // recipe.scale) * recipe.scale}."
        )
    if not recipe.name or "/" in recipe.name:
        mistakes.append(f"name = {recipe.name!r} must be a word without '/': it names the run folder.")
    return mistakes


def type_mistake(key: str, value: Any, annotation: Any) -> str:
    """Return a message if ``value`` does not have the type ``annotation``, or an empty string if it has."""
    wanted = annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
    says = f"{key} = {value!r} is {kind_of(value)}, but must be {wanted}.".replace(
        "srtrain.recipe.schema.", ""
    )
    if isinstance(value, bool) and annotation is not Any and annotation is not bool:
        return "" if bool in typing.get_args(annotation) else says
    import typeguard  # takes longer to import than the rest of a command line takes to read

    try:
        typeguard.check_type(
            value, annotation, collection_check_strategy=typeguard.CollectionCheckStrategy.ALL_ITEMS
        )
    except typeguard.TypeCheckError:
        return says
    return ""


def hints_of(target: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of the parameters of a class or function."""
    found: dict[str, Any] = {}
    for source in reversed(sources_of(inspect.unwrap(target))):
        function = source.__init__ if inspect.isclass(source) else getattr(source, "func", source)
        try:
            found |= typing.get_type_hints(function)
        except (
            NameError
        ):  # a user's annotation may be imported for type checkers only; then types are not checked
            return {}
    return found


def kind_of(value: Any) -> str:
    """Return the type of a value with its article: ``an int``, ``a str``, or ``None``."""
    name = "None" if value is None else type(value).__name__
    return name if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def item_type(annotation: Any) -> Any:
    """Return the type of the values of a ``dict[str, …]``."""
    return typing.get_args(annotation)[1] if typing.get_origin(annotation) is dict else Any


def raise_all(mistakes: Iterable[str]) -> None:
    """Raise one ``RecipeError`` with all mistakes, one per line, if there are any."""
    found = list(mistakes)
    if found:
        raise RecipeError("\n".join(found))
