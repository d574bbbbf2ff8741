"""The JSON schema of recipes, from the dataclasses of ``srtrain.recipe``, their docstrings and the registries."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from srtrain.build.check import NAMED_BY
from srtrain.build.describe import all_keys
from srtrain.recipe.check import ABOVE_ZERO, CHOICES, item_type
from srtrain.recipe.record import encode
from srtrain.recipe.schema import Epochs, Recipe, Spec
from srtrain.trainer.optim import ARGUMENTS

_PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}


def recipe_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of ``recipe.json`` and of recipes that are written as JSON."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A recipe of srtrain",
        **_object(Recipe, "", all_keys()),
    }


def _object(owner: Any, prefix: str, meanings: dict[str, str]) -> dict[str, Any]:
    """Return the schema of a dataclass whose keys begin with ``prefix``."""
    hints, fields = typing.get_type_hints(owner), dataclasses.fields(owner)
    properties, required = {}, []
    for field in fields:
        key = prefix + field.name
        properties[field.name] = {
            "description": meanings.get(key, ""),
            **_value(hints[field.name], key, meanings),
        }
        if field.default is not dataclasses.MISSING:
            properties[field.name]["default"] = encode(field.default)
        elif field.default_factory is dataclasses.MISSING:
            required.append(field.name)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _value(annotation: Any, key: str, meanings: dict[str, str]) -> dict[str, Any]:
    """Return the schema of a value under a key; a dictionary's values have the key ``KEY.NAME``."""
    if key in CHOICES:
        return {"enum": list(CHOICES[key])}
    if annotation is Spec:
        return _spec(key)
    if annotation is Epochs:
        return _only({"epochs": {"type": "number", "exclusiveMinimum": 0}})
    if dataclasses.is_dataclass(annotation):
        return _object(annotation, f"{key}.", meanings)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return {"anyOf": [_value(one, key, meanings) for one in typing.get_args(annotation)]}
    if typing.get_origin(annotation) is dict:
        item = item_type(annotation)
        inner = key if key in NAMED_BY else f"{key}.NAME"
        return {"type": "object", "additionalProperties": _value(item, inner, meanings)}
    if typing.get_origin(annotation) is tuple:
        return {"type": "array", "items": _value(typing.get_args(annotation)[0], key, meanings)}
    plain: dict[str, Any] = {"type": _PLAIN[annotation]}
    if key in ABOVE_ZERO and annotation in (int, float):
        plain["exclusiveMinimum"] = 0
    if annotation is str and key in NAMED_BY:
        plain["examples"] = NAMED_BY[key].names()
    return plain


def _spec(key: str) -> dict[str, Any]:
    """Return the schema of a name with arguments. Plugins may add names, so the known ones are examples only."""
    names = list(ARGUMENTS) if key == "optim.optimizer" else NAMED_BY[key].names()
    return _only({"spec": {"type": "string", "examples": names}, "args": {"type": "object"}})


def _only(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
