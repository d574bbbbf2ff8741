"""Apply ``key=value`` assignments from a command line to a recipe.

    recipe = override(recipe, ["optim.lr=2e-4", "hooks.evaluate.every=500", "hooks.ema=None"])

An assignment is split at its first ``=``. The value is a Python literal, ``20ep`` (epochs), or a plain string.
Every key and type is checked, and all mistakes are reported together.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import typing
from collections.abc import Sequence
from typing import Any

from srtrain.errors import RecipeError, did_you_mean, listing
from srtrain.recipe.check import item_type, raise_all, type_mistake
from srtrain.recipe.schema import Benchmark, Epochs, Recipe, Spec

_EPOCHS = re.compile(r"(?<![\w.'\"])(\d+(?:\.\d*)?)ep(?![\w'\"])")


def override(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """Return a copy of ``recipe`` with the ``a.b=c`` assignments applied in order.

    Raises:
        RecipeError: lists all mistakes of all assignments, one per line.
    """
    mistakes: list[str] = []
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            mistakes.append(f"{assignment!r} is no override; write key=value, such as optim.lr=2e-4.")
            continue
        try:
            recipe = _assign(recipe, Recipe, key.split("."), text, key)
        except RecipeError as error:
            mistakes.append(str(error))
    raise_all(mistakes)
    return recipe


def parse_value(text: str) -> Any:
    """Return the value of an override: of ``20ep``, a Python literal or ``Spec(…)``; anything else is a string."""
    try:
        return _literal(ast.parse(_EPOCHS.sub(r"Epochs(\1)", text), mode="eval").body)
    except (ValueError, SyntaxError):
        return text


def _literal(node: ast.expr) -> Any:
    """Evaluate literals, ``Spec(…)`` and ``Epochs(…)`` without executing code; lists become tuples."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(_literal(item) for item in node.elts)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        arguments = {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords if keyword.arg}
        if node.func.id == "Spec":
            return Spec(_literal(node.args[0]), **arguments)
        if node.func.id == "Epochs" and not arguments:
            return Epochs(float(_literal(node.args[0])))
    return _tuples(ast.literal_eval(node))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, (list, tuple)) else value


def _assign(owner: Any, annotation: Any, path: list[str], text: str, key: str) -> Any:
    """Return a copy of ``owner``, of type ``annotation``, in which the field at ``path`` has the value of ``text``."""
    head, rest = path[0], path[1:]
    if isinstance(owner, Spec):
        old = owner.args.get(head)
        return Spec(owner.name, **{**owner.args, head: _assigned(old, Any, rest, text, key)})
    if isinstance(owner, dict):
        if owner.get(head) is None and (rest or (head not in owner and text == "None")):
            group = key.split(".")[0]
            raise RecipeError(
                f"{key}: there is no {head!r} here.{did_you_mean(head, owner)} Known: {listing(owner)}. "
                f"Add one by name first: {group}.{head}=NAME. 'srtrain explain {group}' describes what there is."
            )
        new = _assigned(owner.get(head), item_type(annotation), rest, text, key)
        return {**owner, head: new}
    if not dataclasses.is_dataclass(owner) or isinstance(owner, (type, Epochs)):
        raise RecipeError(f"{key}: {owner!r} has no parts, so {head!r} cannot be set in it.")
    hints = typing.get_type_hints(type(owner))
    if head not in hints:
        raise RecipeError(
            f"unknown key {key!r}.{did_you_mean(head, hints)} Known here: {listing(hints)}. 'srtrain explain "
            f"{_known_part(key, path)}' describes them."
        )
    new = _assigned(getattr(owner, head), hints[head], rest, text, key)
    return dataclasses.replace(owner, **{head: new})


def _known_part(key: str, path: list[str]) -> str:
    """Return the part of a key before its unknown rest ``path``, or ``KEY``."""
    return ".".join(key.split(".")[: -len(path)]) or "KEY"


def _assigned(old: Any, annotation: Any, rest: list[str], text: str, key: str) -> Any:
    if rest:
        return _assign(old, annotation, rest, text, key)
    value = parse_value(text)
    if annotation is str and not isinstance(value, str):
        value = text
    if isinstance(value, str) and (isinstance(old, Spec) or _takes_spec(annotation)):
        # Another name starts without arguments; the same name keeps those it has.
        value = old if isinstance(old, Spec) and old.name == value else Spec(value)
    if isinstance(value, Spec) and Benchmark in typing.get_args(annotation):
        return Benchmark(value)
    if mistake := type_mistake(key, value, annotation):
        raise RecipeError(mistake)
    return value


def _takes_spec(annotation: Any) -> bool:
    return annotation is Spec or not {Spec, Benchmark}.isdisjoint(typing.get_args(annotation))
