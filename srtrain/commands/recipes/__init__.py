"""``srtrain recipes [copy|schema]``: list, copy and describe the recipes that srtrain comes with."""

from __future__ import annotations

import argparse
import ast
import json
from pathlib import Path

from srtrain.cli.main import function_named
from srtrain.commands.recipes.copy import copy_recipe
from srtrain.recipe.load import recipe_folders, recipe_names

HELP = "list the recipes, copy one to change it, or print their JSON schema"
EXAMPLES = """\
examples:
  srtrain recipes                       every recipe in one line
  srtrain run edsr_x2 data.root=DIV2K   a name stands for the file
  srtrain recipes copy edsr_x2          writes recipes/edsr_x2.py and what it imports
  srtrain recipes schema > recipe.schema.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions; without one, the recipes are listed."""
    actions = parser.add_subparsers(metavar="ACTION", dest="action")
    copy = actions.add_parser("copy", help="copy a recipe and the files that it imports")
    copy.add_argument("name", metavar="NAME")
    copy.add_argument("--to", metavar="FOLDER", type=Path, default=Path("recipes"), help="(default: recipes)")
    copy.add_argument("--overwrite", action="store_true", help="replace existing files")
    actions.add_parser("schema", help="print the JSON schema of recipe.json and of .json recipes")


def run(args: argparse.Namespace) -> int:
    """Do it; return the exit code."""
    if args.action == "copy":
        copy_recipe(args.name, args.to, args.overwrite)
    elif args.action == "schema":
        print(json.dumps(function_named("srtrain.build.json_schema:recipe_schema")(), indent=2))
    else:
        files = {
            name: folder / f"{name}.py" for folder in recipe_folders()[::-1] for name in recipe_names(folder)
        }
        for name, file in sorted(files.items()):
            print(f"{name:<22}{_title(file)}")
    return 0


def _title(file: Path) -> str:
    """Return the first line of a recipe's docstring."""
    try:
        text = ast.get_docstring(ast.parse(file.read_bytes())) or ""
    except (OSError, SyntaxError, ValueError) as error:
        return f"(cannot be read: {error})"
    return text.partition("\n")[0]
