"""Plugins: the way to register names this package does not know.

A plugin is a module whose import registers things. It is looked up as an entry point of the group
``srtrain.plugins``, then as a module, then as a path to a ``.py`` file. Installed is not active: only a
recipe (``plugins=(…,)``) or ``--plugin`` activates one.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from srtrain.errors import RecipeError, did_you_mean, listing

GROUP = "srtrain.plugins"


def installed() -> dict[str, EntryPoint]:
    """Return the plugins that installed packages announce, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def activate(name: str, beside: Path | None = None) -> str:
    """Import the plugin ``name`` and return a name that finds it again from anywhere.

    A relative ``.py`` path is looked up in the working folder, then in the folder ``beside``.

    Raises:
        RecipeError: there is no such plugin, or its import fails; the message has the reason.
    """
    try:
        if name.endswith(".py"):
            return str(_import_path(name, beside).__file__)
        found = installed()
        if name in found:
            found[name].load()
            return name
        if _module_exists(name):
            importlib.import_module(name)
            return name
    except RecipeError:
        raise
    except Exception as error:
        raise RecipeError(
            f"the plugin {name!r} fails when it is imported: {type(error).__name__}: {error}"
        ) from error
    raise RecipeError(
        f"there is no plugin {name!r}.{did_you_mean(name, found)} Installed plugins: {listing(found)}. "
        f"A module on the Python path or a path that ends in .py works too."
    )


def _import_path(name: str, beside: Path | None) -> ModuleType:
    places = [Path(name), *([beside / name] if beside else [])]
    file = next((p.resolve() for p in places if p.is_file()), None)
    if file is None:
        raise RecipeError(
            f"there is no plugin file {name!r}; looked at {listing(str(p.absolute()) for p in places)}."
        )
    module_name = f"srtrain_user_{file.stem}"
    loaded = sys.modules.get(module_name)
    if loaded is not None and loaded.__file__ == str(file):
        return loaded
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{str(file)!r} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # MindSpore's graph parser finds the source of a user's Cell through it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def _module_exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
