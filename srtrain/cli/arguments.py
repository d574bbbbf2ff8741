"""Options that two or more commands share, each defined once, and the texts that several options take.

Importing this module must stay cheap: ``srtrain --help`` imports it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from srtrain.engines.foreign.ranges import parse_range
from srtrain.errors import RecipeError, RunFolderError
from srtrain.recipe.override import parse_value
from srtrain.registry import Registry
from srtrain.weights import SUFFIXES
from srtrain.weights.network import SCALES, Network


def common() -> argparse.ArgumentParser:
    """Return a parser for the options that every command has, before or after the command's name."""
    parser = argparse.ArgumentParser(prog="srtrain", add_help=False, allow_abbrev=False)
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="NAME",
        help="activate a plugin: an installed name, a module or a .py file; repeatable",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add a recipe, its overrides and its device."""
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        help="a recipe: its name (srtrain recipes) or its file; or a run folder",
    )
    add_overrides(parser, "changes to the recipe, such as optim.lr=2e-4")
    add_device(parser, "backend, such as cpu; the same as device=NAME")


def add_overrides(parser: argparse.ArgumentParser, help: str) -> None:
    """Add the words of the form ``key=value``."""
    parser.add_argument("overrides", metavar="key=value", nargs="*", help=help)


def add_device(parser: argparse.ArgumentParser, help: str, default: str | None = None) -> None:
    """Add the device that MindSpore computes on."""
    parser.add_argument("--device", metavar="NAME", default=default, help=help)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add the number of cores."""
    parser.add_argument(
        "--threads", metavar="N", type=int, default=0, help="number of cores to use; 0 uses all (default: 0)"
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the engine that runs the models."""
    parser.add_argument(
        "--engine",
        metavar="NAME",
        default="auto",
        help="engine that runs the model; auto chooses it by the file's suffix (default: auto)",
    )


OF_EXPORTED = "values in an exported file of other software; IN:OUT if they differ (default: measured)"
OF_WEIGHTS = "values that the weights of --model were trained with (default: what its class says, or 0-255)"


def add_range(parser: argparse.ArgumentParser, help: str = OF_EXPORTED) -> None:
    """Add the range of values of a file of other software."""
    parser.add_argument("--range", metavar="0-1|0-255", type=_range, help=help)


def _range(text: str) -> str:
    parse_range(text)
    return text


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add the device of an engine and how it computes there; ``engine_options`` collects what was given."""
    parser.add_argument(
        "--device-id",
        metavar="N",
        type=int,
        help="number of the card or GPU that runs the model (default: 0)",
    )
    parser.add_argument(
        "--provider",
        metavar="NAME",
        help="of ONNX Runtime: cuda, cann or cpu (default: the first that works)",
    )
    parser.add_argument(
        "--engine-config",
        metavar="FILE",
        help="MindSpore Lite's configuration file, such as for free sizes on a card",
    )


def check_engine_options(args: argparse.Namespace) -> None:
    """Check the options of the engine; add ``args.engine_options`` and ``args.device_args``.

    The number of a card belongs to the backend if ``--device`` names one, and otherwise to the engine.

    Raises:
        RecipeError: the number of the device is below 0.
    """
    if args.device_id is not None and args.device_id < 0:
        raise RecipeError(f"--device-id {args.device_id} must be 0 or more.")
    given = {"device_id": args.device_id, "provider": args.provider, "config": args.engine_config}
    args.engine_options = {name: value for name, value in given.items() if value is not None}
    args.device_args = {}
    if args.device not in (None, "cpu") and args.device_id is not None:
        args.device_args = {"id": args.engine_options.pop("device_id")}


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Add the checkpoint to continue from; ``separate_resume`` keeps it from swallowing the next word."""
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="auto|PATH",
        help="continue from the newest checkpoint of the run folder (auto), or from this checkpoint",
    )


def add_overwrite(parser: argparse.ArgumentParser, help: str) -> None:
    """Add the permission to replace files."""
    parser.add_argument("--overwrite", action="store_true", help=help)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the choice of JSON for what is printed."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add the folder of data sets that name none."""
    parser.add_argument(
        "--root", metavar="FOLDER", default="", help="folder of the data sets that are given without =ROOT"
    )


def add_scale(parser: argparse.ArgumentParser, help: str, default: Sequence[int] = ()) -> None:
    """Add one or more scales."""
    parser.add_argument("--scale", metavar="N", type=int, nargs="+", default=list(default), help=help)


def add_one_scale(parser: argparse.ArgumentParser) -> None:
    """Add the scale of a network for several scales."""
    parser.add_argument(
        "--scale",
        metavar="N",
        type=int,
        help="scale of a network for several scales, such as MDSR (default: the one in its recipe)",
    )


def add_protocol(parser: argparse.ArgumentParser, help: str, **how: str) -> None:
    """Add the protocol that pictures are scored with; ``how`` are further arguments of ``add_argument``."""
    parser.add_argument("--protocol", metavar="NAME", help=help, **how)  # type: ignore[arg-type]


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add the network that a weights file of another framework is for; ``network_from`` collects it."""
    parser.add_argument(
        "--model", metavar="NAME", help="network that a weights file of another framework is for, such as rdn"
    )
    add_network_arguments(parser)


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the network of ``--model``."""
    parser.add_argument(
        "--model-args",
        metavar="KEY=VALUE",
        nargs="+",
        default=[],
        help="arguments of that network, such as n_feats=48 (default: those of its class)",
    )


def network_from(
    model: str | None, model_args: Sequence[str], scale: int | None, value_range: str | None
) -> Network | None:
    """Return the network that ``--model`` names for a weights file, or ``None`` without that option.

    Args:
        model: of ``--model``.
        model_args: of ``--model-args``.
        scale: of ``--scale``; ``None`` means that the shapes decide.
        value_range: of ``--range``.

    Raises:
        RecipeError: an argument is not of the form ``key=value``, or there are arguments without a network.
    """
    if model is None:
        if model_args:
            raise RecipeError(f"--model-args {' '.join(model_args)} belongs to a network: add --model NAME.")
        return None
    given = {}
    for word in model_args:
        key, equals, text = word.partition("=")
        if not key.isidentifier() or not equals:
            raise RecipeError(f"--model-args {word!r} is not of the form key=value, such as n_feats=48.")
        given[key] = parse_value(text)
    return Network(model, given, SCALES if scale is None else (scale,), value_range)


def parse_set(text: str) -> tuple[str, str]:
    """Split ``SET=ROOT`` into the name of a data set and its folder, which is empty in ``SET``.

    Raises:
        RecipeError: one side of the equals sign is empty.
    """
    name, equals, root = text.partition("=")
    if not name or (equals and not root):
        raise RecipeError(
            f"{text!r} is not a data set. Write SET or SET=ROOT, such as set5 or set5=data/Set5."
        )
    return name, root


def parse_px(option: str, text: str, form: str) -> tuple[int, int]:
    """Read two numbers of pixels, such as ``1280x720``.

    Args:
        option: for the message.
        text: what was given.
        form: how it must be written, for the message.

    Raises:
        RecipeError: it is something else, or one of the numbers is 0.
    """
    found = re.fullmatch(r"([1-9]\d*)[x×]([1-9]\d*)", text)
    if found is None:
        raise RecipeError(f"{option} {text!r} is not a size. Write {form}.")
    return int(found[1]), int(found[2])


def separate_resume(words: Sequence[str]) -> list[str]:
    """Write ``--resume`` as ``--resume=auto`` where the next word cannot be a checkpoint.

    Otherwise argparse would take the recipe or the override that follows as the value of ``--resume``.
    """
    separated = list(words)
    for i, word in enumerate(words):
        after = words[i + 1] if i + 1 < len(words) else ""
        if word == "--resume" and (
            not after or after.startswith("-") or after.endswith(".py") or "=" in after
        ):
            separated[i] = "--resume=auto"
    return separated


def check_names(registry: Registry, names: Sequence[str], args: argparse.Namespace) -> None:
    """Refuse unknown names early. With ``--plugin``, the work itself does that, after the plugins are active.

    Raises:
        UnknownNameError: nothing is registered under one of the names.
    """
    if not args.plugin:
        for name in names:
            registry.get(name)


_CONVERTED = {"step_00000000", "latest"}  # what convert and blend write into a folder


def check_weights_target(target: Path, overwrite: bool) -> None:
    """Refuse a file that exists, or a folder with anything else than an earlier conversion.

    Args:
        target: a folder for a checkpoint, or a file with one of the suffixes of ``srtrain/weights``.
        overwrite: whether an earlier result may be replaced.

    Raises:
        RunFolderError: it may not be written.
    """
    (_check_file if target.suffix in SUFFIXES else _check_folder)(target, overwrite)


def _check_file(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise RunFolderError(f"--to {str(target)!r} is a folder, but its suffix is that of a file.")
    if target.exists() and not overwrite:
        raise RunFolderError(f"{str(target)!r} exists. Add --overwrite to replace it.")


def _check_folder(target: Path, overwrite: bool) -> None:
    """Refuse a folder with an earlier conversion unless it may be overwritten, and any other content always."""
    if target.is_file():
        raise RunFolderError(f"--to {str(target)!r} is a file; a checkpoint is a folder.")
    found = {path.name for path in target.iterdir()} if target.is_dir() else set()
    if found - _CONVERTED:
        others = ", ".join(sorted(found - _CONVERTED)[:5])
        raise RunFolderError(
            f"{str(target)!r} holds files that no conversion wrote ({others}). Give an empty or new folder."
        )
    if found and not overwrite:
        raise RunFolderError(f"{str(target)!r} holds an earlier conversion. Add --overwrite to replace it.")
