"""Read the recipe that a command line names, with its overrides."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import override


def read_recipe(args: argparse.Namespace, function: str = "recipe") -> None:
    """Load the recipe in ``args.recipe`` and apply the overrides. No plugin is needed for that.

    ``args`` gets ``original`` (the recipe as its file has it), ``resolved`` (with the overrides), the plugins of the
    recipe in front of those of ``--plugin``, and ``beside`` (the folder where plugin files are looked for too).

    Raises:
        RecipeError: the recipe cannot be read, or all mistakes in the overrides together.
    """
    overrides = [*args.overrides, *([f"device={args.device}"] if args.device else [])]
    args.original = load_recipe(args.recipe, function)
    args.resolved = override(args.original, overrides)
    args.plugin = [*args.resolved.plugins, *args.plugin]
    args.beside = Path(args.recipe).parent
