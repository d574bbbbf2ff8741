"""A hash of the code that decides what an exported file contains, for the name of the file in the cache.

It covers the rooms of srtrain that build and write networks, the code of plugins' models, blocks and formats with
everything local that it imports, and the installed packages that take part.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import srtrain
from srtrain.export.formats import FORMATS
from srtrain.models import BLOCKS, MODELS

_ROOMS = ("models", "weights", "export")
_PACKAGES = ("mindspore", "numpy", "onnx", "onnxruntime", "ncnn")
_INSTALLED = ("site-packages", "dist-packages")


def code_hash() -> str:
    """Return a hash that changes with the code of this process that decides what an exported file contains."""
    told = hashlib.sha256()
    for room in _ROOMS:
        for file in sorted((Path(srtrain.__file__).parent / room).rglob("*.py")):
            told.update(file.read_bytes())
    stamps = {_stamp(find_spec(name)) for name in _PACKAGES}
    for registry in (MODELS, BLOCKS, FORMATS):
        for name, entry in sorted(registry.additions().items()):
            files, packages = _code_of(entry)
            stamps |= packages
            told.update(repr((registry.kind, name, entry.__module__, entry.__qualname__)).encode())
            for file in sorted(files):
                told.update(file.read_bytes())
    told.update(repr(sorted(stamps)).encode())
    return told.hexdigest()


def _code_of(entry: Callable[..., Any]) -> tuple[set[Path], set[str]]:
    """Return the local files that a class or function depends on, and a stamp of each installed package.

    Imports inside functions count. Of a package, every file counts, because a package may load its parts by name.
    """
    own = _unit(entry.__module__)
    files, stamps = _files_of(own), set[str]()
    if not files:
        stamps.add(
            os.urandom(16).hex()
        )  # typed in by hand: nothing tells when it changes, so nothing is reused
    todo, seen = _imports(files), {own, "srtrain", *sys.stdlib_module_names}
    while todo:
        unit = _unit(todo.pop())
        if unit in seen:
            continue
        seen.add(unit)
        found = _files_of(unit)
        if not found or any(part in file.parts for file in found for part in _INSTALLED):
            stamps.add(_stamp(_spec(unit)))
        else:
            files |= found
            todo |= _imports(found)
    return files, stamps


def _unit(module: str) -> str:
    """Return the name of the package that a module belongs to, or its own name where it belongs to none."""
    top = module.partition(".")[0]
    return top if top != "__main__" and (top == "srtrain" or _is_package(top)) else module


def _is_package(name: str) -> bool:
    spec = _spec(name)
    return spec is not None and spec.submodule_search_locations is not None


def _files_of(unit: str) -> set[Path]:
    """Return the file of a module, or all files of a package; none if there is no source."""
    spec = _spec(unit)
    if spec is not None and spec.submodule_search_locations is not None:
        return {file for place in spec.submodule_search_locations for file in Path(place).rglob("*.py")}
    file = (spec.origin if spec else None) or getattr(sys.modules.get(unit), "__file__", None)
    return {Path(file)} if file and file.endswith(".py") and Path(file).is_file() else set()


def _spec(name: str) -> ModuleSpec | None:
    if name in sys.modules:
        return getattr(sys.modules[name], "__spec__", None)
    try:
        return find_spec(name) if "." not in name else None
    except (ImportError, ValueError):
        return None


def _imports(files: Iterable[Path]) -> set[str]:
    """Return the names of all modules that files import by their full names."""
    names: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return names


def _stamp(spec: ModuleSpec | None) -> str:
    """Return the place, size and time of an installed package, which change when it is updated."""
    if spec is None:
        return "missing"
    if spec.origin is None or not Path(spec.origin).is_file():
        return spec.name
    about = Path(spec.origin).stat()
    return f"{spec.name} {spec.origin} {about.st_size} {about.st_mtime_ns}"
