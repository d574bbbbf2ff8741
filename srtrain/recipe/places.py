"""Paths in a recipe: make them independent of the working folder, and find them again after a run folder was moved."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from srtrain.recipe.schema import Benchmark, Recipe, Spec

_ENDINGS = ("root", "dir", "path", "file", "folder")


def anchored(recipe: Recipe) -> Recipe:
    """Return a recipe with absolute paths, so that it means the same in every working folder.

    These are ``run_dir``, ``init_from``, ``data.root``, ``data.cache_dir``, ``train.compile_cache``, and every argument
    whose name ends in ``root``, ``dir``, ``path``, ``file`` or ``folder``. Addresses with ``://`` stay as they are.
    """
    moved = _changed(recipe, lambda path: str(_absolute(path)))
    return dataclasses.replace(moved, run_dir=str(_absolute(recipe.folder)))


def found_again(recipe: Recipe, run_dir: Path) -> Recipe:
    """Return a recorded recipe for the folder ``run_dir`` in which its run is now.

    A path that does not exist any more is replaced by the path with the same position relative to the run folder if
    that exists, because a run may be moved together with its data.
    """
    now = _absolute(run_dir)

    def find(path: str) -> str:
        if Path(path).expanduser().exists() or not Path(recipe.run_dir).is_absolute():
            return path
        beside = Path(os.path.normpath(now / os.path.relpath(path, recipe.run_dir)))
        return str(beside) if beside.exists() else path

    return dataclasses.replace(_changed(recipe, find), run_dir=str(now))


def without_places(recipe: Recipe) -> Recipe:
    """Return a recipe without its paths, except ``init_from``: for comparing what it trains, wherever that is."""
    return dataclasses.replace(_changed(recipe, lambda path: ""), run_dir="", init_from=recipe.init_from)


def _absolute(path: str | Path) -> Path:
    """Return an absolute path without ``..``; links stay, unless they must be followed to go up."""
    path = Path(path).expanduser().absolute()
    return path.resolve() if ".." in path.parts else path


def _changed(recipe: Recipe, change: Callable[[str], str]) -> Recipe:
    """Return a recipe in which ``change`` was applied to each path that is set, except ``run_dir``."""

    def path(value: str) -> str:
        return change(value) if value and "://" not in value else value

    def roots(value: str) -> str:
        one = os.pathsep not in value or "://" in value or Path(value).expanduser().exists()
        return path(value) if one else os.pathsep.join(path(part) for part in value.split(os.pathsep))

    def spec(value: Spec) -> Spec:
        return Spec(value.name, **{name: argument(name, v) for name, v in value.args.items()})

    def argument(name: str, value: Any) -> Any:
        if isinstance(value, Spec):
            return spec(value)
        if isinstance(value, tuple):
            return tuple(spec(item) if isinstance(item, Spec) else item for item in value)
        if isinstance(value, str) and name.endswith(_ENDINGS):
            return roots(value) if name.endswith("root") else path(value)
        return value

    def benchmark(value: Benchmark | None) -> Benchmark | None:
        return value and dataclasses.replace(value, data=spec(value.data))

    data, train = recipe.data, recipe.train
    return dataclasses.replace(
        recipe,
        init_from=path(recipe.init_from),
        data=dataclasses.replace(
            data, root=roots(data.root), cache_dir=path(data.cache_dir), train=spec(data.train)
        ),
        train=dataclasses.replace(train, compile_cache=path(train.compile_cache)),
        benchmarks={name: benchmark(value) for name, value in recipe.benchmarks.items()},
        hooks={name: value and spec(value) for name, value in recipe.hooks.items()},
    )
