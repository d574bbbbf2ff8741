"""Names for things: a registry maps a name in a recipe to a class or function.

    @MODELS.register                 # the name is the snake case of the class: EDSR -> "edsr"
    class EDSR(nn.Cell): ...

    @BLOCKS.register("S")            # or the name is said
    class ShrinkBlock(nn.Cell): ...

    model = MODELS.build("edsr", n_feats=64)

There are no scopes and no dotted import paths: importing a module is what registers its names, and a
plugin is the way to import a module that this package does not know.
"""

from __future__ import annotations

import fnmatch
import inspect
import re
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, overload

from srtrain.errors import RecipeError, UnknownNameError, did_you_mean, listing

T = TypeVar("T", bound=Callable[..., Any])


class Registry:
    """A set of named classes or functions of one kind."""

    instances: ClassVar[list[Registry]] = []
    """Every registry there is, so that it can be said what a plugin has registered."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Callable[..., Any]] = {}
        Registry.instances.append(self)

    @overload
    def register(self, target: T) -> T: ...

    @overload
    def register(self, target: str, *, replace: bool = False) -> Callable[[T], T]: ...

    def register(self, target: T | str, *, replace: bool = False) -> T | Callable[[T], T]:
        """Register a class or function, under its snake-case name or under the name given.

        Raises:
            UnknownNameError: the name is taken; the message names both places.
        """
        if isinstance(target, str):
            return lambda obj: self._add(target, obj, replace)
        return self._add(snake_case(target.__name__), target, replace)

    def _add(self, name: str, obj: T, replace: bool) -> T:
        old = self._entries.get(name)
        if old is not None and old is not obj and not replace:
            raise UnknownNameError(
                f"the {self.kind} {name!r} is registered twice: first by {place_of(old)}, now by "
                f"{place_of(obj)}. Rename one, or write register({name!r}, replace=True)."
            )
        self._entries[name] = obj
        return obj

    def get(self, name: str) -> Callable[..., Any]:
        """Return what is registered under ``name``; nothing is built.

        Raises:
            UnknownNameError: lists what is registered and suggests the nearest name.
        """
        if name not in self._entries:
            raise UnknownNameError(
                f"there is no {self.kind} named {name!r}.{did_you_mean(name, self._entries)} "
                f"Registered: {listing(self._entries)}. If a plugin supplies it, name that plugin in "
                f"the recipe (plugins=(…,)) or with --plugin."
            )
        return self._entries[name]

    def build(self, name: str, /, **kwargs: Any) -> Any:
        """Build ``name`` with keyword arguments.

        Raises:
            UnknownNameError: no such name.
            RecipeError: an argument that the target does not take, or one that is missing.
        """
        target = self.get(name)
        check_arguments(f"{self.kind} {name!r}", target, kwargs)
        return target(**kwargs)

    def names(self, pattern: str = "*") -> list[str]:
        """Return the registered names that match a shell pattern, sorted."""
        return sorted(fnmatch.filter(self._entries, pattern))

    def entries(self) -> dict[str, Callable[..., Any]]:
        """Return a copy of what is registered, by name."""
        return dict(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def snake_case(name: str) -> str:
    """``MilestoneLr`` -> ``milestone_lr``, ``EDSR`` -> ``edsr``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def place_of(obj: Callable[..., Any]) -> str:
    """Return ``file:line`` of a class or function, or its qualified name where there is no source."""
    try:
        return f"{inspect.getsourcefile(obj)}:{inspect.getsourcelines(obj)[1]}"
    except (OSError, TypeError):
        return f"{obj.__module__}.{getattr(obj, '__qualname__', obj)}"


def parameters_of(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the named parameters of a class or function, without ``self`` and ``**kwargs``."""
    parameters = inspect.signature(target).parameters
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: p for name, p in parameters.items() if p.kind in kinds}


def check_arguments(what: str, target: Callable[..., Any], kwargs: dict[str, Any]) -> None:
    """Refuse arguments that ``target`` does not take, and name those it lacks.

    Raises:
        RecipeError: with the nearest known argument and the list of all.
    """
    every = inspect.signature(target).parameters.values()
    known = parameters_of(target)
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in every)
    for key in kwargs:
        if key not in known and not open_ended:
            raise RecipeError(
                f"{what} takes no argument {key!r}.{did_you_mean(key, known)} It takes: {listing(known)}."
            )
    missing = [n for n, p in known.items() if p.default is inspect.Parameter.empty and n not in kwargs]
    if missing:
        raise RecipeError(f"{what} needs the argument(s) {listing(missing)}, which the recipe does not give.")


MODELS = Registry("model")
BLOCKS = Registry("block")
LOSSES = Registry("loss")
SCHEDULES = Registry("learning-rate schedule")
METRICS = Registry("metric")
PROTOCOLS = Registry("protocol")
DATASETS = Registry("data set")
HOOKS = Registry("hook")
BACKENDS = Registry("backend")
PRECISIONS = Registry("precision")
ENGINES = Registry("engine")
COMMANDS = Registry("command")
"""Subcommands that plugins add: classes with what a module of ``srtrain.commands`` has; see ``cli.py``."""
