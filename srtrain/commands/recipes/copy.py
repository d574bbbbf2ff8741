"""Copy a recipe for the user to change, with the files that it imports."""

from __future__ import annotations

import ast
from pathlib import Path

from srtrain.errors import RecipeError, cannot, did_you_mean, listing
from srtrain.files import write_whole
from srtrain.recipe.load import recipe_folders, recipe_named, recipe_names


def copy_recipe(name: str, to: Path, overwrite: bool) -> None:
    """Copy a recipe and, recursively, the files beside it that it imports.

    Raises:
        RecipeError: there is no such recipe, or other files of these names exist.
    """
    source = recipe_named(name)
    if source is None or not source.is_file() or source.suffix != ".py":
        known = [one for folder in recipe_folders() for one in recipe_names(folder)]
        raise RecipeError(
            f"there is no recipe {name!r}.{did_you_mean(name, known)} 'srtrain recipes' lists them."
        )
    files = _with_imports(source)
    texts = {to / file.name: file.read_text("utf-8") for file in files}
    try:
        other = [file for file, text in texts.items() if file.exists() and file.read_text("utf-8") != text]
        if other and not overwrite:
            raise RecipeError(
                f"{listing(map(str, other))} would be replaced by another file. Give another folder with --to, or add "
                f"--overwrite."
            )
        to.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            write_whole(file, text)
            print(f"wrote {file}")
    except OSError as error:
        raise cannot(f"the recipe cannot be copied to {str(to)!r}", error) from error


def _with_imports(file: Path) -> list[Path]:
    found, todo = [file], [file]
    while todo:
        for node in ast.walk(ast.parse(todo.pop().read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            beside = [file.with_name(f"{name}.py") for name in names]
            new = [one for one in beside if one.is_file() and one not in found]
            found += new
            todo += new
    return found
