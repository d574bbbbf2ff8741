"""The JSON form of a recipe, as a run folder records it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from typing import Any

from srtrain.errors import RecipeError, without_credentials
from srtrain.files.json_file import checked
from srtrain.recipe.check import item_type, kind_of
from srtrain.recipe.places import without_places
from srtrain.recipe.schema import Epochs, Recipe, Spec


def to_json(recipe: Recipe) -> str:
    """Return a recipe as JSON that ``from_json`` reads back to an equal recipe."""
    return json.dumps(encode(recipe), indent=2) + "\n"


def digest(recipe: Recipe) -> str:
    """Return a short hash, equal for recipes that differ only in where their run and data are, and in credentials."""
    return hashlib.sha256(without_credentials(to_json(without_places(recipe))).encode()).hexdigest()[:16]


def from_json(text: str, where: str = "recipe.json") -> Recipe:
    """Read what ``to_json`` wrote; ``where`` names the file in errors.

    Raises:
        RecipeError: it is not JSON, or not a recipe of this version.
    """
    try:
        value = checked(text, object)
        if not isinstance(value, dict):
            raise ValueError(f"it holds {kind_of(value)}")
        return typing.cast(Recipe, decode(value, Recipe))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecipeError(f"{where} is not a recipe that this version can read: {error}") from error


def encode(value: Any) -> Any:
    """Return a part of a recipe as JSON values: tuples become lists, ``Spec`` and ``Epochs`` become objects."""
    if isinstance(value, Spec):
        return {"spec": value.name, "args": {k: encode(v) for k, v in value.args.items()}}
    if isinstance(value, Epochs):
        return {"epochs": value.n}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {k: encode(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(v) for v in value]
    return value


def decode(value: Any, annotation: Any = Any) -> Any:
    """Return what ``encode`` was given; lists become tuples.

    Args:
        value: JSON values.
        annotation: the type, which says where a JSON object is a dataclass.

    Raises:
        ValueError: an object that ``encode`` does not write.
    """
    if isinstance(value, list):
        return tuple(decode(v) for v in value)
    if not isinstance(value, dict):
        return value
    if set(value) == {"spec", "args"}:
        if not isinstance(value["spec"], str) or not isinstance(value["args"], dict):
            raise ValueError(f"{str(value)[:60]} is no name with arguments")
        return Spec(value["spec"], **{k: decode(v) for k, v in value["args"].items()})
    if set(value) == {"epochs"}:
        if type(value["epochs"]) not in (int, float):
            raise ValueError(f"{str(value)[:60]} is no number of epochs")
        return Epochs(value["epochs"])
    if typing.get_args(annotation) and typing.get_origin(annotation) is not dict:  # X | None
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        hints = typing.get_type_hints(annotation)
        return annotation(**{k: decode(v, hints.get(k, Any)) for k, v in value.items()})
    return {k: decode(v, item_type(annotation)) for k, v in value.items()}
