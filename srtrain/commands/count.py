"""``srtrain count MODEL``: parameters and multi-adds of networks, counted on the networks themselves."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from srtrain.errors import RecipeError
from srtrain.evaluation.table import aligned
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import override

if TYPE_CHECKING:
    from mindspore import nn

HELP = "count the parameters and multi-adds of networks"
EXAMPLES = """\
examples:
  srtrain count recipes/edsr_x2.py recipes/esr_x2_full.py
  srtrain count runs/quickstart --output-px 3840x2160
  srtrain count recipes/edsr_baseline_x2.py model.n_feats=32 --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the networks and the size of the picture."""
    parser.add_argument(
        "models", metavar="MODEL", nargs="+", help="a recipe, a run folder, or a file of weights"
    )
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="changes to the recipes among them")
    parser.add_argument(
        "--output-px",
        metavar="WxH",
        default="1280x720",
        help="of the picture that multi-adds are for (1280x720)",
    )
    parser.add_argument("--plugin", action="append", default=[], metavar="NAME", help="plugin; repeatable")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Build each network, count, and print."""
    from srtrain import plugins
    from srtrain.models.count import count

    words = [*args.models, *args.overrides]
    output_px = parse_size(args.output_px)
    for name in args.plugin:
        plugins.activate(name)
    overrides = [word for word in words if "=" in word]
    found = []
    for name in [word for word in words if "=" not in word]:
        model, scale = network(Path(name).expanduser(), overrides)
        cost = count(model, scale, output_px)
        found.append(
            {"model": name, "scale": scale, "parameters": cost.n_parameters, "multi_adds": cost.multi_adds}
        )
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    heads = ("model", "scale", "parameters", f"G multi-adds for {args.output_px}")
    rows = [
        (str(f["model"]), f"x{f['scale']}", f"{f['parameters']:,}", f"{f['multi_adds'] / 1e9:.1f}")
        for f in found
    ]
    print(aligned(heads, rows))
    return 0


def network(path: Path, overrides: list[str]) -> tuple[nn.Cell, int]:
    """Return the network of a recipe or of weights, and its scale.

    Raises:
        UserError: it cannot be read or built.
    """
    from srtrain import plugins
    from srtrain.build.check import check_names
    from srtrain.build.parts import build_model
    from srtrain.weights import read as weights

    if path.suffix != ".py":
        read = weights.read_weights(path)
        return weights.build_model(read), int(read.about["scale"])
    recipe = override(load_recipe(path), overrides)
    for name in recipe.plugins:
        plugins.activate(name, beside=path.parent)
    check_names(recipe)
    return build_model(recipe), recipe.scale


def parse_size(text: str) -> tuple[int, int]:
    """Read ``1280x720``.

    Raises:
        RecipeError: anything else.
    """
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise RecipeError(f"--output-px {text!r} is no size. Write WIDTHxHEIGHT, such as 1280x720.")
    return int(width), int(height)
