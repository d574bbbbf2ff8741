"""Describe the keys and names of recipes: type, default, allowed values and meaning, from annotations and docstrings.

    describe("optim.lr")         # a key
    describe("hooks.ema")        # a part and the arguments of what is registered for it
    describe("model=edsr")       # the same, for one name
    describe("edsr")             # a name, in every registry that has it

``docs/architecture.md`` lists the registries.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from srtrain.build.check import NAMED_BY, registry_of
from srtrain.errors import UnknownNameError, did_you_mean, listing
from srtrain.recipe.check import ABOVE_ZERO, CHOICES, hints_of, item_type
from srtrain.recipe.schema import Recipe, Spec, standard_hooks
from srtrain.registry import Registry, parameters_of, place_of
from srtrain.trainer.optim import ARGUMENTS

_OPTIMIZER = "optim.optimizer"
_NONE = inspect.Parameter.empty


@dataclass(frozen=True)
class Description:
    """What is known about a key or a name.

    Attributes:
        name: as it stands on a command line.
        kind: type of the value, or the kind of registry.
        default: ``repr`` of the default value; empty where there is none.
        allowed: values that are accepted; empty where the type says it all.
        meaning: one paragraph.
        parts: keys in it, or arguments of it.
    """

    name: str
    kind: str
    default: str
    allowed: str
    meaning: str
    parts: tuple[Description, ...] = ()


def describe(word: str) -> list[Description]:
    """Describe a key, ``KEY=NAME``, or a registered name.

    Raises:
        UnknownNameError: there is no such key or name; the message suggests the nearest one.
    """
    key, _, name = word.partition("=")
    parts = key.split(".")
    if parts[0] in typing.get_type_hints(Recipe):
        return _of_key(Recipe, parts, "", name)
    found = [_of_entry(registry, key, key) for registry in _registries() if key in registry]
    if key in ARGUMENTS:
        found.append(_of_optimizer(key, key))
    if not found:
        known = [*all_keys(), *ARGUMENTS, *(name for registry in _registries() for name in registry.names())]
        raise UnknownNameError(
            f"{word!r} is no key of a recipe, no registered name and no recipe.{did_you_mean(word, known)} 'srtrain "
            f"explain' lists all keys. If a plugin supplies the name, add --plugin NAME."
        )
    return found


def all_keys() -> dict[str, str]:
    """Return the meaning of every key of the schema, by dotted key, without the arguments of names."""
    return dict(_keys(Recipe, ""))


def _keys(owner: type, prefix: str) -> Iterator[tuple[str, str]]:
    meanings = documented(owner)
    for name, annotation in typing.get_type_hints(owner).items():
        yield prefix + name, meanings.get(name, "")
        inner = annotation if dataclasses.is_dataclass(annotation) else _item_class(annotation)
        if inner is not None:
            middle = "" if inner is annotation else "NAME."
            yield from _keys(typing.cast(type, inner), f"{prefix}{name}.{middle}")


def _of_key(owner: type, path: list[str], prefix: str, chosen: str) -> list[Description]:
    """Describe the key ``path`` in the dataclass ``owner``."""
    head, rest = path[0], path[1:]
    hints, key = typing.get_type_hints(owner), prefix + head
    if head not in hints:
        raise UnknownNameError(
            f"unknown key {key!r}.{did_you_mean(head, hints)} Known here: {listing(hints)}. 'srtrain explain' lists "
            f"all keys."
        )
    annotation = hints[head]
    if dataclasses.is_dataclass(annotation):
        inner = typing.cast(type, annotation)
        return _of_key(inner, rest, key + ".", chosen) if rest else [_of_field(owner, head, key)]
    item = _item_class(annotation)
    if rest and item is not None:  # benchmarks.set5.psnr
        return (
            _of_key(item, rest[1:], f"{key}.{rest[0]}.", chosen)
            if rest[1:]
            else [_of_class(item, f"{key}.{rest[0]}")]
        )
    if rest and item_type(annotation) is not Any:  # hooks.ema.decay
        name = chosen or rest[0]
        return (
            _of_spec(f"{key}.{rest[0]}", name, rest[1:])
            if chosen or name in registry_of(key)
            else _ask(key, name)
        )
    if rest or (chosen and _is_named(key)):
        return _of_spec(key, chosen, rest)
    return [_of_field(owner, head, key)]


def _is_named(key: str) -> bool:
    return key == _OPTIMIZER or re.sub(r"^benchmarks\.[^.]+", "benchmarks.NAME", key) in NAMED_BY


def _ask(key: str, name: str) -> list[Description]:
    known = registry_of(key).names()
    raise UnknownNameError(
        f"{key}.{name}: no {registry_of(key).kind} has the name {name!r}.{did_you_mean(name, known)} If {name!r} is "
        f"the label of another one, write {key}.{name}=NAME. Registered: {listing(known)}. If a plugin supplies it, "
        f"add --plugin NAME."
    )


def _of_field(owner: type, head: str, key: str) -> Description:
    annotation = typing.get_type_hints(owner)[head]
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, owner))}
    default = _default_of(fields[head])
    meaning = documented(owner).get(head, "")
    parts: tuple[Description, ...] = ()
    if dataclasses.is_dataclass(annotation):
        inner = typing.cast(type, annotation)
        parts = tuple(_of_field(inner, name, f"{key}.{name}") for name in typing.get_type_hints(inner))
        return Description(key, "a group of keys", "", "", meaning, parts)
    allowed = _allowed(key)
    if _is_named(key):
        known = list(ARGUMENTS) if key == _OPTIMIZER else registry_of(key).names()
        allowed = listing(known, 60)
        parts = _of_spec(key, default.name, [])[0].parts if isinstance(default, Spec) else ()
    return Description(key, kind_of(annotation), _shown(default), allowed, meaning, parts)


def _of_class(owner: type, key: str) -> Description:
    parts = tuple(_of_field(owner, name, f"{key}.{name}") for name in typing.get_type_hints(owner))
    return Description(key, "a group of keys", "", "", summary(owner), parts)


def _of_spec(key: str, name: str, rest: list[str]) -> list[Description]:
    """Describe what is registered as ``name`` for a key, or one argument of it, or of every entry that takes it."""
    if key == _OPTIMIZER:
        names = [name] if name else list(ARGUMENTS)
        entries = [_of_optimizer(key, each) for each in names if each in ARGUMENTS]
    else:
        registry = registry_of(key)
        names = [name] if name else registry.names()
        entries = [_of_entry(registry, each, key) for each in names]
    if not entries:
        raise UnknownNameError(
            f"{key}: there is no optimizer {name!r}.{did_you_mean(name, ARGUMENTS)} Known: {listing(ARGUMENTS)}."
        )
    if not rest:
        return entries
    wanted = ".".join([key, *rest[:1]])
    found = [
        dataclasses.replace(part, kind=f"{part.kind}, of {entry.kind}")
        for entry in entries
        for part in entry.parts
        if part.name == wanted
    ]
    if not found:
        known = {part.name.rpartition(".")[2] for entry in entries for part in entry.parts}
        raise UnknownNameError(
            f"{key}: {name or 'nothing that is registered for it'} takes no argument {rest[0]!r}."
            f"{did_you_mean(rest[0], known)} Known: {listing(known)}."
        )
    return found


def _of_entry(registry: Registry, name: str, key: str) -> Description:
    target = registry.get(name)
    filled, hints, meanings = registry.from_run(name), hints_of(target), documented(target)
    parts = tuple(
        Description(
            f"{key}.{argument}",
            kind_of(hints.get(argument, Any)),
            "" if parameter.default is _NONE else _shown(parameter.default),
            "",
            meanings.get(argument, ""),
        )
        for argument, parameter in parameters_of(target).items()
        if argument not in filled or parameter.default is not _NONE
    )
    where = f"{registry.kind} {name!r}"
    return Description(f"{key}={name}" if key != name else name, where, "", "", summary(target), parts)


def _of_optimizer(key: str, name: str) -> Description:
    parts = tuple(
        Description(
            f"{key}.{argument}", "number or bool", "of mindcv", "", "passed to mindcv.optim.create_optimizer."
        )
        for argument in sorted(ARGUMENTS[name])
    )
    meaning = f"The optimizer {name!r} of mindcv.optim; the learning rate is optim.lr."
    return Description(
        f"{key}={name}" if key != name else name, f"optimizer {name!r}", "", "", meaning, parts
    )


def documented(target: Any) -> dict[str, str]:
    """Return the meaning of each argument or attribute, from the Google-style docstrings of a class or function.

    A class inherits the descriptions of its bases.
    """
    owners = reversed(inspect.getmro(target)) if inspect.isclass(target) else (target,)
    found: dict[str, str] = {}
    for owner in owners:
        section = re.search(
            r"^(?:Args|Attributes):\n((?:    .*\n|\n)*)",
            inspect.cleandoc(owner.__doc__ or "") + "\n",
            re.MULTILINE,
        )
        entries = re.findall(
            r"^    (\w+): ((?:.*\n)(?:     +.*\n|\n)*)", section[1] if section else "", re.MULTILINE
        )
        found |= {name: " ".join(text.split()) for name, text in entries}
    return found


def summary(target: Callable[..., Any]) -> str:
    """Return the docstring without its sections, in one paragraph."""
    text = inspect.cleandoc(getattr(target, "func", target).__doc__ or "")
    text = re.split(r"^(?:Args|Attributes|Raises|Returns):$", text, maxsplit=1, flags=re.MULTILINE)[0]
    return " ".join(text.split()) or f"registered by {place_of(target)}"


def kind_of(annotation: Any) -> str:
    """Return a type as a reader of recipes knows it."""
    text = (
        annotation.__name__
        if isinstance(annotation, type) and not typing.get_args(annotation)
        else str(annotation)
    )
    text = re.sub(r"\b(?:\w+\.)+(\w)", r"\1", text)
    return {"Any": "any", "Spec": "a name with arguments"}.get(
        text, text.replace("Spec", "name with arguments")
    )


def _item_class(annotation: Any) -> type | None:
    """Return the dataclass in a ``dict[str, Class | None]``."""
    kinds = typing.get_args(item_type(annotation)) or (item_type(annotation),)
    return next((kind for kind in kinds if dataclasses.is_dataclass(kind)), None)  # type: ignore[return-value]


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is standard_hooks:
        return Mapping
    return _NONE if field.default_factory is dataclasses.MISSING else field.default_factory()


def _shown(value: Any) -> str:
    if value is Mapping:
        return ", ".join(standard_hooks())
    if value is _NONE:
        return "none; every recipe sets it"
    if isinstance(value, Spec):
        return " ".join([value.name, *(f"{key}={item!r}" for key, item in value.args.items())])
    return repr(value)


def _allowed(key: str) -> str:
    if key in CHOICES:
        return ", ".join(CHOICES[key])
    return "above 0" if key in ABOVE_ZERO else ""


def _registries() -> Iterable[Registry]:
    return dict.fromkeys(NAMED_BY.values())
