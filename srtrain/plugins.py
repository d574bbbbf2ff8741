"""Plugins add models, hooks, commands and other registered names to srtrain.

A plugin is a module that registers names when it is imported. A name that ends in ``.py`` is a path to a file. Any
other name is looked up as an entry point of the group ``srtrain.plugins``, then as a module. An installed plugin is
not active until a recipe (``plugins=(…,)``) or ``--plugin`` names it.

A plugin may also define ``around_run``, a context manager that is entered before a run is built and left after the
run has ended; see ``srtrain/build/around.py`` and docs/new_plugin.md.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from srtrain.errors import RecipeError, did_you_mean, listing
from srtrain.files import import_file
from srtrain.registry import Registry

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "srtrain.plugins"


@dataclass(frozen=True)
class Plugin:
    """A plugin that is active in this process.

    Attributes:
        name: a name that finds the plugin from any working folder.
        registered: names that its import added or replaced, by kind of registry.
    """

    name: str
    module: ModuleType
    registered: dict[str, list[str]]


_active: dict[str, Plugin] = {}


def installed() -> dict[str, list[EntryPoint]]:
    """Return the plugins that installed packages declare, by name; a name with two entries is a conflict."""
    from importlib.metadata import entry_points  # a quarter of the start-up of a command that needs no plugin

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        others = found.setdefault(entry.name, [])
        if entry.value not in [other.value for other in others]:  # an editable package may be found twice
            others.append(entry)
    return found


def origin(entry: EntryPoint) -> str:
    """Return the module of an entry point and the package that declares it, as text."""
    package = f" of {entry.dist.name} {entry.dist.version}" if entry.dist else ""
    return f"{entry.value}{package}"


def activate(name: str, beside: Path | None = None) -> str:
    """Import the plugin ``name`` and return a name that finds it from any working folder.

    A relative ``.py`` path is looked up in the working folder, then in the folder ``beside``.

    Raises:
        RecipeError: there is no such plugin, or its import fails; the message has the reason.
    """
    return load(name, beside).name


def load(name: str, beside: Path | None = None) -> Plugin:
    """Import the plugin ``name`` unless it is active already; see ``activate``."""
    found = find(name, beside)
    if found.name not in _active:
        before = {registry: registry.additions() for registry in Registry.instances}
        try:
            module = found.module()
        except (Exception, SystemExit) as error:
            raise RecipeError(
                f"the plugin {name!r} fails when it is imported: {type(error).__name__}: {error}"
            ) from error
        _active[found.name] = Plugin(found.name, module, _new_names(before))
    return _active[found.name]


def active() -> frozenset[str]:
    """Return the lasting names of the plugins that are active in this process."""
    return frozenset(_active)


def suppliers(entry: Callable[..., Any]) -> list[str]:
    """Return the active plugins that an entry of a registry is from, by the module that defines it."""
    place = f"{entry.__module__}."
    return [plugin.name for plugin in _active.values() if place.startswith(f"{plugin.module.__name__}.")]


@dataclass(frozen=True)
class Found:
    """A plugin that exists; nothing of it was imported to find it.

    Attributes:
        name: a name that finds the plugin from any working folder.
        module: imports it.
        places: the file, or the folders of the package, that its import runs; none for an entry point.
    """

    name: str
    module: Callable[[], ModuleType]
    places: tuple[Path, ...] = ()


def find(name: str, beside: Path | None = None) -> Found:
    """Find a plugin without importing anything of it.

    Raises:
        RecipeError: there is no such plugin.
    """
    if name.endswith(".py"):
        file = _existing_file(name, beside)
        return Found(str(file), lambda: import_file(file, "srtrain_user"), (file,))
    found = installed()
    if name in found:
        entry, *others = found[name]
        if others:
            raise RecipeError(
                f"two installed packages declare a plugin {name!r}: {origin(entry)} and {origin(others[0])}. "
                f"Uninstall one, or name a module: {entry.module} or {others[0].module}."
            )
        return Found(name, lambda: _load_entry(entry))
    if places := module_places(name):
        return Found(name, lambda: importlib.import_module(name), places)
    raise RecipeError(
        f"there is no plugin {name!r}.{did_you_mean(name, found)} Installed plugins: {listing(found)}. "
        f"A module on the Python path or a path that ends in .py works too."
    )


def _new_names(before: dict[Registry, dict[str, Callable[..., Any]]]) -> dict[str, list[str]]:
    """Return the names whose entries differ from ``before``, by kind of registry."""
    new = {
        registry.kind: sorted(
            name
            for name, entry in registry.additions().items()
            if before.get(registry, {}).get(name) is not entry
        )
        for registry in sorted(Registry.instances, key=lambda registry: registry.kind)
    }
    return {kind: names for kind, names in new.items() if names}


def _load_entry(entry: EntryPoint) -> ModuleType:
    entry.load()
    return sys.modules[entry.module]


def _existing_file(name: str, beside: Path | None) -> Path:
    places = [Path(name), *([beside / name] if beside else [])]
    file = next((p.resolve() for p in places if p.is_file()), None)
    if file is None:
        raise RecipeError(
            f"there is no plugin file {name!r}; looked at {listing(str(p.absolute()) for p in places)}."
        )
    return file


def module_places(name: str) -> tuple[Path, ...]:
    """Return the file of a module, or the folders of the package that it belongs to; empty if there is no such module.

    ``importlib.util.find_spec`` would import the packages above the module.
    """
    top, *parts = name.split(".")
    try:
        spec = first = importlib.util.find_spec(top)
        for i, part in enumerate(parts):
            inside = spec.submodule_search_locations if spec else None
            spec = PathFinder.find_spec(".".join([top, *parts[:i], part]), list(inside)) if inside else None
    except (ImportError, ValueError):
        return ()
    if spec is None or first is None:
        return ()
    folders = tuple(Path(place) for place in first.submodule_search_locations or ())
    return folders or ((Path(first.origin),) if first.origin else ())
