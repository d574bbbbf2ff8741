"""Print what is known about keys of recipes, registered names, and recipes."""

from __future__ import annotations

import argparse
import ast
import shutil
import textwrap
from pathlib import Path

from srtrain import plugins
from srtrain.build.check import check_names, registry_of, specs_of
from srtrain.build.describe import Description, all_keys, describe, documented, summary
from srtrain.consent import allowed
from srtrain.data import DATASETS
from srtrain.engines import ENGINES
from srtrain.hooks import HOOKS
from srtrain.metrics import PROTOCOLS
from srtrain.models import BLOCKS, MODELS
from srtrain.recipe import Recipe
from srtrain.recipe.load import load_recipe, recipe_named
from srtrain.recipe.text import differences, show
from srtrain.trainer.losses import LOSSES
from srtrain.trainer.schedules import SCHEDULES


def run(args: argparse.Namespace) -> int:
    """Print an explanation of each word, or every key if there is no word."""
    words = [*args.words, *args.overrides]
    if not words:
        for key, meaning in all_keys().items():
            print(_line(key, meaning, width=32))
    for number, word in enumerate(words):
        file = recipe_named(word)
        print(
            ("\n" if number else "") + (_of_recipe(file) if file else "\n\n".join(map(_text, describe(word))))
        )
    return 0


_LISTED = {
    "models": MODELS,
    "blocks": BLOCKS,
    "losses": LOSSES,
    "hooks": HOOKS,
    "schedules": SCHEDULES,
    "engines": ENGINES,
    "protocols": PROTOCOLS,
    "datasets": DATASETS,
}


def list_names(args: argparse.Namespace) -> int:
    """Print each registered name of a kind with the first sentence of its docstring; return the exit code."""
    registry = _LISTED[args.kind]
    for name in registry.names():
        print(f"{name:<24}{summary(registry.get(name)).split('. ')[0].rstrip('.')}".rstrip())
    return 0


def _of_recipe(file: Path) -> str:
    """Return the text of a recipe, and a line for each value that is not the default."""
    recipe = load_recipe(file)
    folder = file if file.is_dir() else file.parent
    for name in recipe.plugins if file.suffix == ".py" else allowed(recipe.plugins, folder, beside=folder):
        plugins.activate(name, folder)
    check_names(recipe)
    plain = Recipe(recipe.name, recipe.scale, recipe.model)
    values = {"scale": recipe.scale, "model": recipe.model.name}
    values |= {f"model.{name}": value for name, value in recipe.model.args.items()}
    values |= {key: new for key, (_, new) in differences(plain, recipe).items()}
    meanings = _meanings(recipe)
    lines = [_line(f"{key} = {show(value)}", meanings.get(key, "")) for key, value in values.items()]
    text = (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "") if file.suffix == ".py" else ""
    head = f"{file}\n\n{text}" if text else str(file)
    return "\n".join(
        [head, "", "Values that differ from the defaults (change them with key=value):", "", *lines]
    )


def _meanings(recipe: Recipe) -> dict[str, str]:
    """Return the meaning of every key of a recipe that has one, arguments of names included."""
    found = all_keys()
    for name in recipe.benchmarks:
        found |= {
            key.replace("NAME", name): text
            for key, text in found.items()
            if key.startswith("benchmarks.NAME.")
        }
    for key, spec in specs_of(recipe):
        arguments = documented(registry_of(key).get(spec.name))
        found |= {f"{key}.{name}": arguments.get(name, "") for name in spec.args}
    return found


def _text(description: Description) -> str:
    """Return a description with its parts."""
    rows = {
        "type": description.kind,
        "default": description.default,
        "allowed": description.allowed,
        "meaning": description.meaning,
    }
    lines = [description.name]
    lines += [_wrapped(f"  {label:<9}", text) for label, text in rows.items() if text]
    for part in description.parts:
        facts = [part.kind, f"default {part.default}" if part.default else "no default"]
        facts += [f"allowed: {part.allowed}"] if part.allowed else []
        lines += [
            "",
            f"  {part.name}",
            _wrapped("      ", "; ".join(facts)),
            _wrapped("      ", part.meaning),
        ]
    return "\n".join(line for line in lines if line.strip() or not line)


def _wrapped(start: str, text: str) -> str:
    width = max(60, min(120, shutil.get_terminal_size((120, 24)).columns))
    return textwrap.fill(text, width, initial_indent=start, subsequent_indent=" " * len(start))


def _line(key: str, meaning: str, width: int = 48) -> str:
    """Return a key and the first sentence or clause of its meaning."""
    clause = meaning.split(". ")[0].split("; ")[0].rstrip(".")
    return f"{key:<{width}}  {clause}".rstrip()
