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
    lasting, module_of = _find(name, beside)
    if lasting not in _active:
        before = {registry: registry.additions() for registry in Registry.instances}
        try:
            module = module_of()
        except (Exception, SystemExit) as error:
            raise RecipeError(
                f"the plugin {name!r} fails when it is imported: {type(error).__name__}: {error}"
            ) from error
        _active[lasting] = Plugin(lasting, module, _new_names(before))
    return _active[lasting]


def _find(name: str, beside: Path | None) -> tuple[str, Callable[[], ModuleType]]:
    """Return the lasting name of a plugin, and a function that imports it."""
    if name.endswith(".py"):
        file = _existing_file(name, beside)
        return str(file), lambda: import_file(file, "srtrain_user")
    found = installed()
    if name in found:
        entry, *others = found[name]
        if others:
            raise RecipeError(
                f"two installed packages declare a plugin {name!r}: {origin(entry)} and {origin(others[0])}. "
                f"Uninstall one, or name a module: {entry.module} or {others[0].module}."
            )
        return name, lambda: _load_entry(entry)
    if _module_exists(name):
        return name, lambda: importlib.import_module(name)
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


def _module_exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
