"""Registries: a name in a recipe, mapped to a class or function.

    @MODELS.register                                  # the name is the class in snake case: EDSR -> "edsr"
    class EDSR(nn.Cell): ...

    @HOOKS.register("lr", from_run=("schedule",))     # or the name is given; the run supplies the schedule
    class LrHook(Hook): ...

    model = MODELS.build("edsr", n_feats=64)

A registry lives in the package of its entries and imports the modules of that package at the first lookup. A new
built-in entry is therefore one new file. All other entries come from plugins.
"""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, overload

from srtrain.errors import RecipeError, UnknownNameError, did_you_mean, listing

T = TypeVar("T", bound=Callable[..., Any])

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Registry:
    """Named classes or functions of one kind.

    Args:
        kind: what an entry is, for messages.
        package: the package or module whose import registers the built-in entries; usually ``__name__``.
        by_file: each module of the package registers one entry under the module's own name, so that listing the names
            imports nothing and a lookup imports one module. For entries that need optional or slow packages.
    """

    instances: ClassVar[list[Registry]] = []
    """Every registry that exists, to find out what a plugin has registered."""

    def __init__(self, kind: str, package: str, *, by_file: bool = False) -> None:
        self.kind = kind
        self.package = package
        self.by_file = by_file
        self._entries: dict[str, Callable[..., Any]] = {}
        self._from_run: dict[str, tuple[str, ...]] = {}
        self._loaded = False
        Registry.instances.append(self)

    @overload
    def register(self, target: T) -> T: ...

    @overload
    def register(
        self, target: str | None = None, *, replace: bool = False, from_run: tuple[str, ...] = ()
    ) -> Callable[[T], T]: ...

    def register(
        self, target: T | str | None = None, *, replace: bool = False, from_run: tuple[str, ...] = ()
    ) -> T | Callable[[T], T]:
        """Register a class or function under its name in snake case, or under the name given.

        Args:
            target: the class or function, or its name.
            replace: allow a name that is taken.
            from_run: parameters that the run fills in where the recipe does not give them, such as ``scale`` or
                ``seed``; docs/architecture.md lists what a run offers.

        Raises:
            UnknownNameError: the name is taken; the message names both places.
            RecipeError: ``from_run`` names a parameter that the target does not have.
        """
        if target is None or isinstance(target, str):
            return lambda obj: self._add(target or snake_case(obj.__name__), obj, replace, from_run)
        return self._add(snake_case(target.__name__), target, replace, from_run)

    def _add(self, name: str, obj: T, replace: bool, from_run: tuple[str, ...]) -> T:
        if not self._is_built_in(
            obj
        ):  # a plugin's name must not clash with a built-in one that is imported later
            self._load(name)
        old = self._entries.get(name)
        if old is not None and old is not obj and not replace:
            raise UnknownNameError(
                f"the {self.kind} {name!r} is registered twice: first by {place_of(old)}, now by "
                f"{place_of(obj)}. Rename one, or write register({name!r}, replace=True)."
            )
        known = parameters_of(obj)
        for parameter in from_run:
            if parameter not in known:
                raise RecipeError(
                    f"the {self.kind} {name!r} asks for {parameter!r} from the run, but {place_of(obj)} has no such "
                    f"parameter.{did_you_mean(parameter, known)} It has: {listing(known)}."
                )
        self._entries[name] = obj
        self._from_run[name] = from_run
        return obj

    def _is_built_in(self, obj: Callable[..., Any]) -> bool:
        return f"{obj.__module__}.".startswith(f"{self.package}.")

    def _load(self, name: str) -> None:
        """Import the module of one entry, or once all modules of the package."""
        if self.by_file:
            if name in self._files() and name not in self._entries:
                importlib.import_module(f"{self.package}.{name}")
        elif not self._loaded:
            self._loaded = True
            try:
                package = importlib.import_module(self.package)
                for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{self.package}."):
                    importlib.import_module(module.name)
            except BaseException:
                self._loaded = False
                raise

    def _files(self) -> list[str]:
        path = importlib.import_module(self.package).__path__
        return [module.name for module in pkgutil.iter_modules(path)]

    def get(self, name: str) -> Callable[..., Any]:
        """Return what is registered under ``name``, without building it.

        Raises:
            UnknownNameError: lists what is registered and suggests the nearest name.
        """
        self._load(name)
        if name not in self._entries:
            known = self.names()
            raise UnknownNameError(
                f"there is no {self.kind} named {name!r}.{did_you_mean(name, known)} "
                f"Registered: {listing(known)}. If a plugin supplies it, name that plugin in "
                f"the recipe (plugins=(…,)) or with --plugin."
            )
        return self._entries[name]

    def from_run(self, name: str) -> tuple[str, ...]:
        """Return the parameters that the run fills in for the entry ``name``."""
        self.get(name)
        return self._from_run.get(name, ())

    def build(self, name: str, offered: Mapping[str, Any] = _NOTHING, /, **kwargs: Any) -> Any:
        """Build ``name`` from keyword arguments, and from what is offered where the entry declares it in ``from_run``.

        Raises:
            UnknownNameError: no such name.
            RecipeError: an argument that the target does not take, or one that is missing.
        """
        target = self.get(name)
        filled = {key: offered[key] for key in self._from_run.get(name, ()) if key in offered}
        kwargs = {**filled, **kwargs}
        check_arguments(f"{self.kind} {name!r}", target, kwargs)
        return target(**kwargs)

    def names(self, pattern: str = "*") -> list[str]:
        """Return the registered names that match a shell pattern, sorted."""
        self._load("")
        return sorted(fnmatch.filter({*self._entries, *(self._files() if self.by_file else ())}, pattern))

    def additions(self) -> dict[str, Callable[..., Any]]:
        """Return what came from outside the package, by name, without importing the package."""
        return {name: obj for name, obj in self._entries.items() if not self._is_built_in(obj)}

    def __contains__(self, name: object) -> bool:
        return name in self.names()


def snake_case(name: str) -> str:
    """``MilestoneLr`` -> ``milestone_lr``, ``EDSR`` -> ``edsr``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def place_of(obj: Callable[..., Any]) -> str:
    """Return ``file:line`` of a class or function, or its qualified name where there is no source."""
    try:
        return f"{inspect.getsourcefile(obj)}:{inspect.getsourcelines(obj)[1]}"
    except (OSError, TypeError):
        return f"{obj.__module__}.{getattr(obj, '__qualname__', obj)}"


def sources_of(target: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return the functions that name the parameters of a class or function.

    A class that passes ``**kwargs`` on also has the parameters of its bases, up to one that takes no ``**kwargs``. This
    holds for classes with the attribute ``passes_kwargs_on``; the ``**kwargs`` of others take everything.
    """
    if not inspect.isclass(target) or not getattr(target, "passes_kwargs_on", False):
        return [target]
    found = []
    for owner in target.__mro__:
        if "__init__" in vars(owner):
            found.append(vars(owner)["__init__"])
            if not _takes_the_rest(found[-1]):
                break
    return found


def _takes_the_rest(function: Callable[..., Any]) -> bool:
    return any(
        p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(function).parameters.values()
    )


def parameters_of(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the named parameters of a class or function, without ``self`` and ``**kwargs``."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found: dict[str, inspect.Parameter] = {}
    for source in sources_of(target):
        named = inspect.signature(source).parameters.items()
        found |= {name: p for name, p in named if p.kind in kinds and name not in ("self", *found)}
    return found


def check_arguments(what: str, target: Callable[..., Any], kwargs: dict[str, Any]) -> None:
    """Refuse arguments that ``target`` does not take, and name those it lacks.

    Raises:
        RecipeError: with the nearest known argument and the list of all.
    """
    known = parameters_of(target)
    open_ended = _takes_the_rest(sources_of(target)[-1])
    for key in kwargs:
        if key not in known and not open_ended:
            raise RecipeError(
                f"{what} takes no argument {key!r}.{did_you_mean(key, known)} It takes: {listing(known)}."
            )
    missing = [n for n, p in known.items() if p.default is inspect.Parameter.empty and n not in kwargs]
    if missing:
        argument = "argument" if len(missing) == 1 else "arguments"
        raise RecipeError(
            f"{what} needs the {argument} {listing(missing)}, which the recipe does not give. A class that expects a "
            f"value from the run declares it: register(…, from_run=({missing[0]!r},))."
        )
