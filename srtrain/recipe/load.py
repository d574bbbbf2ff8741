"""Load a recipe from a Python file, a ``recipe.json`` or a run folder."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from srtrain.errors import RecipeError, did_you_mean
from srtrain.files import import_file
from srtrain.files.json_file import read_text, reason_of
from srtrain.recipe.check import check_recipe
from srtrain.recipe.record import from_json, to_json
from srtrain.recipe.schema import Recipe

PACKAGE = "srtrain_recipes"
"""The package that the folder ``recipes/`` of the project is installed as."""


def recipe_folders() -> list[Path]:
    """Return the folders in which recipes are found by name: ``recipes`` here, then srtrain's own."""
    spec = find_spec(PACKAGE)
    return [Path("recipes"), *map(Path, (spec.submodule_search_locations or ()) if spec else ())]


def recipe_names(folder: Path) -> list[str]:
    """Return the names of the recipes in a folder, sorted; files that recipes share are none."""
    return sorted(file.stem for file in folder.glob("*.py") if not file.name.startswith("_"))


def recipe_named(word: str) -> Path | None:
    """Return the recipe that a word means: a file, a run folder, or the name of a recipe that srtrain comes with."""
    path = Path(word).expanduser()
    if path.suffix in (".py", ".json") or (path.is_dir() and (path / "recipe.json").is_file()):
        return path
    if path.exists() or len(path.parts) != 1 or word.startswith("_"):
        return None
    found = (folder / f"{word}.py" for folder in recipe_folders())
    return next((file for file in found if file.is_file()), None)


def load_recipe(path: str | Path, function: str = "recipe") -> Recipe:
    """Read a recipe: a ``.py`` file, a ``recipe.json``, or a run folder that holds one.

    Args:
        path: the file or folder.
        function: the function of a ``.py`` file that returns the recipe; ``smoke`` returns its one-minute twin.

    Raises:
        RecipeError: there is no such file, it is not a recipe, or it raises an error.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "recipe.json"
    if not file.is_file():
        known = [p.name for p in file.parent.glob("*.py")] if file.parent.is_dir() else []
        if not file.suffix:
            known += [name for folder in recipe_folders() for name in recipe_names(folder)]
        raise RecipeError(
            f"there is no recipe {str(path)!r}.{did_you_mean(file.name, known)} "
            f"Give a .py recipe file, a run folder to resume, or a name from 'srtrain recipes'."
        )
    if file.suffix == ".json":
        if function != "recipe":
            raise RecipeError(
                f"{str(path)!r} is a run's record, which has no {function}(). Give the .py recipe."
            )
        try:
            text = read_text(file)
        except (OSError, ValueError) as error:
            raise RecipeError(f"{str(file)!r} cannot be read: {reason_of(error)}.") from error
        return _checked(from_json(text, str(file)), file)
    if file.name.startswith("_"):
        raise RecipeError(
            f"{str(path)!r} starts with an underscore: it is shared by recipes and not one itself."
        )
    if file.suffix != ".py":
        raise RecipeError(f"{str(path)!r} is not a Python file: a recipe ends in .py.")
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


def _checked(recipe: Recipe, record: Path) -> Recipe:
    """Return a recorded recipe. It was right once, so a mistake in it is the record's and not the user's."""
    try:
        check_recipe(recipe)
    except RecipeError as error:
        raise RecipeError(
            f"{str(record)!r} is damaged, or from another version of srtrain: {error}"
        ) from error
    return recipe


def _called(file: Path, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function of a recipe file; turn its errors into a ``RecipeError`` that names the line."""
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
    """Import a recipe file, which may import files beside it (``from _edsr import paper``)."""
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        return import_file(file, "srtrain_recipe")
    finally:
        sys.path.remove(folder)
