"""Count the parameters and multi-adds of networks, on the networks themselves."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mindspore import nn

from srtrain import plugins
from srtrain.build.check import check_names
from srtrain.build.parts import build_model
from srtrain.evaluation.table import aligned
from srtrain.models.count import count
from srtrain.recipe import Recipe
from srtrain.weights import read as weights


def run(args: argparse.Namespace) -> int:
    """Build each network, count, and print."""
    found = []
    for name, recipe in args.networks:
        path = Path(name).expanduser()
        model, scale = network_of_weights(path) if recipe is None else network_of_recipe(recipe, path.parent)
        cost = count(model, scale, args.output_px)
        found.append(
            {"model": name, "scale": scale, "parameters": cost.n_parameters, "multi_adds": cost.multi_adds}
        )
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    width, height = args.output_px
    head = ("model", "scale", "parameters", f"G multi-adds for {width}x{height}")
    rows = [
        (f["model"], f"x{f['scale']}", f"{f['parameters']:,}", f"{f['multi_adds'] / 1e9:.1f}") for f in found
    ]
    print(aligned(head, rows))
    return 0


def network_of_weights(path: Path) -> tuple[nn.Cell, int]:
    """Return the network that a file of weights or a run folder holds, and its scale."""
    read = weights.read_weights(path)
    return weights.build_model(read), int(read.about["scale"])


def network_of_recipe(recipe: Recipe, beside: Path) -> tuple[nn.Cell, int]:
    """Return the network of a recipe, and its scale; ``beside`` is where its plugin files are looked for too."""
    for name in recipe.plugins:
        plugins.activate(name, beside)
    check_names(recipe)
    return build_model(recipe), recipe.scale
