"""From a recipe file and a command line to one checked ``Recipe``, and from there to text and back.

    recipe = load("recipes/edsr_baseline_x2.py")
    recipe = override(recipe, ["optim.lr=2e-4", "hooks.evaluate.every=500", "hooks.ema=None"])

An override is split at its first ``=``; the value is a Python literal, ``20ep`` (epochs), or else a
string. Every key and every type is checked, and all mistakes are reported together.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib.util
import json
import re
import sys
import traceback
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import typeguard

from srtrain.errors import RecipeError, did_you_mean, listing
from srtrain.recipe import Benchmark, Epochs, Recipe, Spec

_EPOCHS = re.compile(r"(?<![\w.'\"])(\d+(?:\.\d*)?)ep(?![\w'\"])")


def load(path: str | Path, function: str = "recipe") -> Recipe:
    """Read a recipe: a ``.py`` file, a ``recipe.json``, or a run folder that holds one.

    Args:
        path: the file or folder.
        function: which function of a ``.py`` file makes the recipe; ``smoke`` makes its one-minute twin.

    Raises:
        RecipeError: no such file, not a recipe, or a recipe that cannot be run.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "recipe.json"
    if not file.is_file():
        beside = [p.name for p in file.parent.glob("*.py")] if file.parent.is_dir() else []
        raise RecipeError(
            f"there is no recipe {str(path)!r}.{did_you_mean(file.name, beside)} "
            f"Give a .py recipe file, or a run folder to resume."
        )
    if file.suffix == ".json":
        if function != "recipe":
            raise RecipeError(
                f"{str(path)!r} is a run's record, which has no {function}(). Give the .py recipe."
            )
        return from_json(file.read_text(encoding="utf-8"), str(file))
    if file.name.startswith("_"):
        raise RecipeError(
            f"{str(path)!r} starts with an underscore: it is shared by recipes and not one itself."
        )
    make = getattr(_called(file, _import_file, file), function, None)
    if make is None:
        raise RecipeError(
            f"{str(path)!r} has no function {function}(). A recipe file defines: def {function}() -> Recipe:"
        )
    made = _called(file, make)
    if not isinstance(made, Recipe):
        raise RecipeError(
            f"{function}() in {str(path)!r} returned {type(made).__name__}, not srtrain.recipe.Recipe."
        )
    return from_json(to_json(made), str(file))  # lists become tuples, as they will when it is resumed


def _called(file: Path, function: Callable[..., Any], *args: Any) -> Any:
    """Call something of a recipe file; its mistakes become one message with their line."""
    try:
        return function(*args)
    except RecipeError:
        raise
    except Exception as error:
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == file.name
        ]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else 1)
        reason = f"{type(error).__name__}: {error}"
        raise RecipeError(f"{str(file)!r}, line {line}, cannot be read: {reason}") from error


def _import_file(file: Path) -> ModuleType:
    """Execute a recipe file; a recipe may import its neighbours (``from _edsr import paper``)."""
    spec = importlib.util.spec_from_file_location(f"srtrain_recipe_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{str(file)!r} is not a Python file: a recipe ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.resolve().parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.resolve().parent))
    return module


def override(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """Return ``recipe`` with ``a.b=c`` assignments applied, in order.

    Raises:
        RecipeError: all mistakes of all assignments, one a line.
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
    _raise_all(mistakes)
    return recipe


def parse_value(text: str) -> Any:
    """Read the right side of an override: ``20ep``, a Python literal or ``Spec(…)``, else the string itself."""
    try:
        return _literal(ast.parse(_EPOCHS.sub(r"Epochs(\1)", text), mode="eval").body)
    except (ValueError, SyntaxError):
        return text


def _literal(node: ast.expr) -> Any:
    """Evaluate literals, with sequences as tuples, ``Spec(…)`` and ``Epochs(…)``; execute nothing else."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(_literal(item) for item in node.elts)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        arguments = {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords if keyword.arg}
        if node.func.id == "Spec":
            return Spec(_literal(node.args[0]), **arguments)
        if node.func.id == "Epochs" and not arguments:
            return Epochs(float(_literal(node.args[0])))
    return _tuples(ast.literal_eval(node))


def _assign(owner: Any, annotation: Any, path: list[str], text: str, key: str) -> Any:
    """Return a copy of ``owner``, whose type is ``annotation``, in which ``path`` is what ``text`` says."""
    head, rest = path[0], path[1:]
    if isinstance(owner, Spec):
        old = owner.args.get(head)
        return Spec(owner.name, **{**owner.args, head: _assigned(old, Any, rest, text, key)})
    if isinstance(owner, dict):
        if owner.get(head) is None and (rest or (head not in owner and text == "None")):
            raise RecipeError(
                f"{key}: there is no {head!r} here.{did_you_mean(head, owner)} Known: {listing(owner)}. "
                f"Add one by name first: {key.split('.')[0]}.{head}=NAME."
            )
        new = _assigned(owner.get(head), _item_of(annotation), rest, text, key)
        return {**owner, head: new}
    if not dataclasses.is_dataclass(owner) or isinstance(owner, (type, Epochs)):
        raise RecipeError(f"{key}: {owner!r} has no parts, so {head!r} cannot be set in it.")
    hints = typing.get_type_hints(type(owner))
    if head not in hints:
        raise RecipeError(f"unknown key {key!r}.{did_you_mean(head, hints)} Known here: {listing(hints)}.")
    new = _assigned(getattr(owner, head), hints[head], rest, text, key)
    return dataclasses.replace(owner, **{head: new})


def _assigned(old: Any, annotation: Any, rest: list[str], text: str, key: str) -> Any:
    if rest:
        return _assign(old, annotation, rest, text, key)
    value = parse_value(text)
    if annotation is str and not isinstance(value, str):
        value = text
    if isinstance(value, str) and (isinstance(old, Spec) or _takes_spec(annotation)):
        # Another name starts without arguments; the same name keeps those it has.
        return old if isinstance(old, Spec) and old.name == value else Spec(value)
    if mistake := type_mistake(key, value, annotation):
        raise RecipeError(mistake)
    return value


def _item_of(annotation: Any) -> Any:
    """Return the type of the values of a ``dict[str, …]``."""
    return typing.get_args(annotation)[1] if typing.get_origin(annotation) is dict else Any


def _takes_spec(annotation: Any) -> bool:
    return annotation is Spec or Spec in typing.get_args(annotation)


def type_mistake(key: str, value: Any, annotation: Any) -> str:
    """Return what is wrong with the type of ``value``, or an empty string."""
    wanted = annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
    says = f"{key} = {value!r} is {_kind(value)}, but must be {wanted}.".replace("srtrain.recipe.", "")
    if isinstance(value, bool) and annotation is not Any and annotation is not bool:
        return "" if bool in typing.get_args(annotation) else says
    try:
        typeguard.check_type(
            value, annotation, collection_check_strategy=typeguard.CollectionCheckStrategy.ALL_ITEMS
        )
    except typeguard.TypeCheckError:
        return says
    return ""


def _kind(value: Any) -> str:
    name = "None" if value is None else type(value).__name__
    return name if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def check(recipe: Recipe) -> None:
    """Check every type and value that can be checked without building anything.

    Raises:
        RecipeError: all mistakes, one a line.
    """
    mistakes = list(_type_mistakes(recipe, ""))
    if not mistakes:
        mistakes += _value_mistakes(recipe)
    _raise_all(mistakes)


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
            f"say how long to train once: train.steps={train.steps!r} and train.epochs={train.epochs!r} "
            f"(give one of them, set the other to None)."
        )
    for key, value in {
        "train.steps": train.steps,
        "train.epochs": train.epochs,
        "train.steps_per_epoch": train.steps_per_epoch,
        "train.log_every": train.log_every,
        "train.accumulate": train.accumulate,
        "train.sink_steps": train.sink_steps,
        "data.batch_size": data.batch_size,
        "data.gt_patch_px": data.gt_patch_px,
        "data.workers": data.workers,
        "scale": recipe.scale,
        "optim.clip_norm": recipe.optim.clip_norm,
    }.items():
        number = value.n if isinstance(value, Epochs) else value
        if number is not None and number <= 0:
            mistakes.append(f"{key} = {number!r} must be above 0.")
    if train.threads < 0:
        mistakes.append(f"train.threads = {train.threads!r} must be 0 (all cores) or more.")
    if train.mode not in ("graph", "pynative"):
        mistakes.append(f"train.mode = {train.mode!r} must be 'graph' or 'pynative'.")
    if data.cache not in ("memory", "mmap", "none"):
        mistakes.append(f"data.cache = {data.cache!r} must be 'memory', 'mmap' or 'none'.")
    if recipe.scale > 0 and data.gt_patch_px % recipe.scale:
        mistakes.append(
            f"data.gt_patch_px = {data.gt_patch_px} is no multiple of scale = {recipe.scale}: the input patch "
            f"would not be whole. Nearest: {max(1, data.gt_patch_px // recipe.scale) * recipe.scale}."
        )
    if not recipe.name or "/" in recipe.name:
        mistakes.append(f"name = {recipe.name!r} must be a plain word: it names the run folder.")
    return mistakes


def _raise_all(mistakes: Iterable[str]) -> None:
    found = list(mistakes)
    if found:
        raise RecipeError("\n".join(found))


def flatten(recipe: Recipe) -> dict[str, Any]:
    """Return every leaf of a recipe under the dotted key that overrides it."""
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
    """Return the leaves that differ, each as (old value, new value); a missing leaf is ``None``."""
    before, after = flatten(old), flatten(new)
    keys = dict.fromkeys([*before, *after])
    return {k: (before.get(k), after.get(k)) for k in keys if before.get(k) != after.get(k)}


def to_text(recipe: Recipe, original: Recipe | None = None) -> str:
    """Return flat ``key = value`` lines; what differs from ``original`` is marked with the old value."""
    changed = differences(original, recipe) if original else {}
    lines = []
    for key, value in flatten(recipe).items():
        mark = f"    # command line; the recipe says {_show(changed[key][0])}" if key in changed else ""
        lines.append(f"{key} = {_show(value)}{mark}")
    return "\n".join(lines)


def _show(value: Any) -> str:
    return str(value) if isinstance(value, Epochs) else repr(value)


def to_json(recipe: Recipe) -> str:
    """Return a recipe as JSON that ``from_json`` reads back to an equal recipe."""
    return json.dumps(_encode(recipe), indent=2) + "\n"


def digest(recipe: Recipe) -> str:
    """Return a short hash that two recipes share when they say the same, wherever the files are."""
    same_place = dataclasses.replace(recipe, run_dir="", data=dataclasses.replace(recipe.data, root=""))
    return hashlib.sha256(to_json(same_place).encode()).hexdigest()[:16]


def from_json(text: str, where: str = "recipe.json") -> Recipe:
    """Read what ``to_json`` wrote.

    Raises:
        RecipeError: not JSON, or not a recipe of this version.
    """
    try:
        value = json.loads(text)
        if not isinstance(value, dict):
            raise ValueError(f"it holds {_kind(value)}")
        return typing.cast(Recipe, _decode(value, Recipe))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecipeError(f"{where} is not a recipe that this version can read: {error}") from error


def _encode(value: Any) -> Any:
    if isinstance(value, Spec):
        return {"spec": value.name, "args": {k: _encode(v) for k, v in value.args.items()}}
    if isinstance(value, Epochs):
        return {"epochs": value.n}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {k: _encode(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_encode(v) for v in value]
    return value


def _decode(value: Any, annotation: Any = Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(v) for v in value)
    if not isinstance(value, dict):
        return value
    if set(value) == {"spec", "args"}:
        return Spec(value["spec"], **{k: _decode(v) for k, v in value["args"].items()})
    if set(value) == {"epochs"}:
        return Epochs(value["epochs"])
    if typing.get_args(annotation) and typing.get_origin(annotation) is not dict:  # X | None
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        hints = typing.get_type_hints(annotation)
        return annotation(**{k: _decode(v, hints.get(k, Any)) for k, v in value.items()})
    return {k: _decode(v, _item_of(annotation)) for k, v in value.items()}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, (list, tuple)) else value
