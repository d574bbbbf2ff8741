"""A network as a file describes it, without the weights in the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindspore import nn

from srtrain.errors import CheckpointError, RecipeError, first_line
from srtrain.models import MODELS
from srtrain.recipe.check import hints_of, raise_all, type_mistake
from srtrain.recipe.record import decode
from srtrain.registry import parameters_of


def network_of(about: Mapping[str, Any], source: Path) -> nn.Cell:
    """Return a network with the weights that it begins with.

    Args:
        about: its ``model``, ``scale`` and ``model_args``, as a file says them.
        source: the file, for messages.

    Raises:
        UnknownNameError: there is no such network.
        CheckpointError: the network does not take these arguments.
    """
    name = about["model"]
    hints = hints_of(MODELS.get(name))
    try:
        args = model_args(about)
        raise_all(
            filter(None, (type_mistake(key, value, hints.get(key, Any)) for key, value in args.items()))
        )
        model: nn.Cell = MODELS.build(name, {"scale": about["scale"]}, **args)
    except (RecipeError, ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, RecipeError) else first_line(error)
        raise CheckpointError(
            f"the network {name!r} for the weights in {str(source)!r} cannot be built: {reason}"
        ) from error
    return model


def model_args(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a network as a recipe gives them; a checkpoint keeps them as JSON."""
    args: dict[str, Any] = decode(about.get("model_args", {}))
    return args


def default_args(name: str) -> dict[str, Any]:
    """Return the arguments of a registered network that have a default value, with it."""
    parameters = parameters_of(MODELS.get(name))
    return {key: p.default for key, p in parameters.items() if p.default is not p.empty}
