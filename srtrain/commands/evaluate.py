"""``srtrain evaluate MODEL… --sets SET…``: score models and compare them with published rows and with each other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srtrain.cli import arguments
from srtrain.cli.recipe import read_recipe
from srtrain.errors import CheckpointError, RecipeError, listing
from srtrain.metrics import PROTOCOLS
from srtrain.recipe.override import parse_value
from srtrain.weights.network import Network, takes_network

HELP = "score checkpoints and exported models on benchmarks"
EXAMPLES = """\
examples:
  srtrain evaluate runs/edsr_x2 bicubic --sets set5 set14 --root data
  srtrain evaluate runs/edsr_x2 --sets div2k_valid=data/DIV2K --method plain self-ensemble
  srtrain evaluate bicubic --sets set5 --root data --scale 2 3 4
  srtrain evaluate edsr_x2.onnx EDSR_x2.pt --sets set5 --root data --protocol paper_y basicsr_rgb
  srtrain evaluate recipes/imdn_x2.py --weights IMDN_x2.pth data.root=data
  srtrain evaluate IMDN_x2.pth --model imdn --plugin light --sets set5 --root data
  srtrain evaluate edsr_x2.onnx --sets set5 --root data --provider cuda --device-id 0
  srtrain evaluate edsr_x2.mindir --engine mindspore_lite --sets div2k_valid=data/DIV2K --scale 2 --device-id 0 \\
      --against runs/edsr_x2 > infer_x2.log
  srtrain evaluate runs/edsr_denoise --sets set5 --root data --degrade noise sigma=25 --protocol basicsr_rgb
  srtrain evaluate --models-in runs --sets set5 set14 --root data
  srtrain evaluate runs/a runs/b --sets set5 --root data --to report --pictures --worst 3 --plot
"""
RUN = "srtrain.jobs.evaluate:run"

METHODS = ("plain", "self-ensemble")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add models, sets, and what to do with the results."""
    _add_models(parser)
    parser.add_argument(
        "--sets",
        metavar="SET[=ROOT]",
        nargs="+",
        type=arguments.parse_set,
        help="data sets, such as set5 div2k_valid (default: the benchmarks of the recipe)",
    )
    arguments.add_root(parser)
    parser.add_argument("--lr-type", metavar="NAME", help="bicubic, unknown or on_the_fly")
    parser.add_argument(
        "--degrade",
        metavar=("NAME", "KEY=VALUE"),
        nargs="+",
        action="append",
        default=[],
        help="degrade the input, such as: --degrade noise sigma=25; repeatable, applied in this order",
    )
    arguments.add_scale(
        parser,
        "scales of bicubic, and of a network for several scales; another network's scale must be among them",
    )
    arguments.add_protocol(
        parser, "protocols to score with (default: div2k_rgb for DIV2K, paper_y for other sets)", nargs="+"
    )
    parser.add_argument("--method", nargs="+", choices=METHODS, default=["plain"], help="(default: plain)")
    _add_results(parser)
    arguments.add_engine(parser)
    arguments.add_range(parser)
    arguments.add_engine_options(parser)
    parser.add_argument(
        "--against",
        metavar="CHECKPOINT",
        type=Path,
        help="print how the first picture differs from the output of this checkpoint, which MindSpore runs",
    )
    arguments.add_device(parser, "backend of checkpoints, such as ascend (default: cpu)", default="cpu")
    arguments.add_threads(parser)


def _degradation(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the name of a degradation and its arguments.

    Raises:
        RecipeError: a word after the name is not of the form ``KEY=VALUE``.
    """
    given = [word.partition("=") for word in words[1:]]
    if odd := [word for word, (key, _, value) in zip(words[1:], given, strict=True) if not (key and value)]:
        raise RecipeError(
            f"--degrade {' '.join(words)}: {odd[0]!r} is not of the form KEY=VALUE, such as sigma=25."
        )
    return words[0], {key: parse_value(value) for key, _, value in given}


def _add_models(parser: argparse.ArgumentParser) -> None:
    """Add the models, and the network of those that are weights of another framework."""
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="*",
        help="a run folder (its best checkpoint), a step_… folder, a file of weights, an exported model, or bicubic; "
        "or a recipe with --weights",
    )
    arguments.add_overrides(parser, "changes to the recipe, such as data.root=data")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        type=Path,
        help="weights for the network of the recipe that stands in place of the models",
    )
    parser.add_argument(
        "--model",
        metavar="NAME|MODEL",
        action="append",
        default=[],
        help="network that the weights files of other frameworks are for, such as rdn; or another MODEL",
    )
    parser.add_argument(
        "--models-in", metavar="FOLDER", type=Path, help="also score every model that lies in this folder"
    )
    arguments.add_network_arguments(parser)


def _add_results(parser: argparse.ArgumentParser) -> None:
    """Add what is written and printed."""
    parser.add_argument("--to", metavar="FOLDER", type=Path, help="folder for results.json and other files")
    parser.add_argument(
        "--pictures", action="store_true", help="write output, ground truth and error map of each picture"
    )
    parser.add_argument(
        "--worst", metavar="K", type=int, default=0, help="write a sheet of the K worst pictures"
    )
    parser.add_argument("--plot", action="store_true", help="write a plot of PSNR over multi-adds")
    arguments.add_json(parser)


def check(args: argparse.Namespace) -> None:
    """Check that there is a model, a folder for what is to be written, and the protocols.

    ``args`` gets ``network`` (of weights files) and ``resolved`` (the recipe, or ``None``).
    """
    names = [
        word for word in args.model if word.isidentifier() and word != "bicubic" and not Path(word).exists()
    ]
    args.models += [word for word in args.model if word not in names]
    if args.models_in is not None and not args.models_in.is_dir():
        raise CheckpointError(
            f"--models-in {str(args.models_in)!r} is not a folder. Give one with models in it."
        )
    args.resolved = None
    if args.weights is not None or any(word.endswith(".py") for word in args.models):
        _read_recipe(args, names)
    else:
        _read_network(args, names)
        if args.overrides:
            raise RecipeError(
                f"{' '.join(args.overrides)} changes a recipe, and there is none among the models."
            )
        if not args.models and args.models_in is None:
            raise RecipeError(
                "there is nothing to evaluate: name a model, such as runs/edsr_x2, edsr_x2.onnx or bicubic."
            )
        if not args.sets:
            raise RecipeError("there is nothing to evaluate on: add --sets, such as --sets set5 --root data.")
    if (args.pictures or args.worst or args.plot) and args.to is None:
        raise RecipeError("--pictures, --worst and --plot write files: add --to FOLDER.")
    if args.against is not None and not args.against.exists():
        raise CheckpointError(
            f"--against {str(args.against)!r} does not exist. Give a run folder, a step_… folder, or a file of weights."
        )
    args.degrade = [_degradation(words) for words in args.degrade]
    arguments.check_engine_options(args)
    arguments.check_names(PROTOCOLS, args.protocol or (), args)


def _read_network(args: argparse.Namespace, names: Sequence[str]) -> None:
    """Add the network that ``--model`` names for weights files."""
    if len(names) > 1:
        raise RecipeError(
            f"--model {' '.join(names)}: all weights files of one command are for one network. Convert the others "
            f"first: srtrain convert torch."
        )
    scale = args.scale[0] if len(args.scale) == 1 else None
    args.network = arguments.network_from(names[0] if names else None, args.model_args, scale, args.range)
    if args.network is not None and not any(takes_network(Path(model)) for model in args.models):
        raise RecipeError(
            f"--model {names[0]} names the network of a weights file, and there is none among the models: "
            f"{listing(args.models) or '(none)'}."
        )


def _read_recipe(args: argparse.Namespace, names: Sequence[str]) -> None:
    """Read the recipe among the models; its weights take its place.

    Raises:
        RecipeError: the recipe has no weights or the other way round, it is not alone, or it cannot be read.
    """
    recipes = [word for word in args.models if word.endswith(".py")]
    args.overrides += [word for word in args.models if "=" in word]
    others = [word for word in args.models if word not in (*recipes, *args.overrides)]
    if len(recipes) != 1 or args.weights is None or others or names or args.model_args:
        raise RecipeError(
            "a recipe is evaluated together with its weights, and with no other model: "
            "srtrain evaluate RECIPE.py --weights FILE [key=value …]."
        )
    args.recipe = recipes[0]
    read_recipe(args)
    recipe = args.resolved
    if not args.sets and not any(recipe.benchmarks.values()):
        raise RecipeError(f"{args.recipe!r} has no benchmarks. Name data sets: --sets set5 --root data.")
    args.models, args.root = [str(args.weights.expanduser())], args.root or recipe.data.root
    args.network = Network(recipe.model.name, recipe.model.args, (recipe.scale,), args.range)
