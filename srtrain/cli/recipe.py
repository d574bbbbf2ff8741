"""Read the recipe that a command line names, with its overrides."""

from __future__ import annotations

import argparse
from os.path import realpath
from pathlib import Path

from srtrain.consent import allowed
from srtrain.errors import RecipeError
from srtrain.recipe.load import load_recipe, recipe_named
from srtrain.recipe.override import override
from srtrain.recipe.places import found_again


def read_recipe(args: argparse.Namespace, function: str = "recipe") -> None:
    """Load the recipe in ``args.recipe`` and apply the overrides. No plugin is needed for that.

    ``args.recipe`` becomes a path if it is the name of a recipe. A run folder, or the ``recipe.json`` in it, means the
    run in that folder, wherever it was when the run began.

    ``args`` gets ``original`` (the recipe as its file has it), ``resolved`` (with the overrides), the plugins of the
    recipe in front of those of ``--plugin``, and ``beside`` (the folder where plugin files are looked for too).

    Raises:
        RecipeError: the recipe cannot be read, or all mistakes in the overrides together; or a run folder names a
            plugin that the user has not consented to.
    """
    overrides = [*args.overrides, *([f"device={args.device}"] if args.device else [])]
    args.recipe = str(recipe_named(args.recipe) or args.recipe)
    args.original = load_recipe(args.recipe, function)
    run_folder = run_folder_of(args.recipe)
    if run_folder is not None:
        args.original = found_again(args.original, run_folder)
    args.resolved = override(args.original, overrides)
    if run_folder is not None and getattr(args, "resume", None) is not None:
        _check_same_folder(args.recipe, run_folder, args.resolved.folder)
    args.beside = Path(args.recipe).parent
    wanted = list(args.resolved.plugins)
    if run_folder is not None:
        recorded = [name for name in wanted if name in args.original.plugins]
        given = [*(name for name in wanted if name not in recorded), *args.plugin]
        wanted = [*allowed(recorded, run_folder, given, args.beside), *given]
    args.plugin = list(dict.fromkeys([*wanted, *args.plugin]))


def run_folder_of(recipe: str) -> Path | None:
    """Return the run folder that a word on the command line names, or ``None`` for a recipe file."""
    path = Path(recipe)
    if path.is_dir():
        return path
    return path.parent if path.name == "recipe.json" else None


def _check_same_folder(recipe: str, named: Path, run_dir: Path) -> None:
    if realpath(named) != realpath(run_dir.expanduser()):
        raise RecipeError(
            f"run_dir={str(run_dir)!r} contradicts --resume, which continues the run in {recipe!r}. Leave run_dir out. "
            f"To begin a new run with these settings, leave --resume out."
        )
