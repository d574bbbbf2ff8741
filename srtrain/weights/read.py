"""Weights from wherever they are: a run, a checkpoint, a ``.ckpt``, or a file of another framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from srtrain import plugins
from srtrain.consent import allowed
from srtrain.errors import CheckpointError, RecipeError, first_line, listing
from srtrain.models import MODELS
from srtrain.models.scales import scales_of
from srtrain.recipe.check import hints_of, raise_all, type_mistake
from srtrain.recipe.record import decode
from srtrain.trainer.checkpoint import find_weights, read_tensors, run_folder_of
from srtrain.weights import SUFFIXES, edsr_pytorch, model_zoo
from srtrain.weights.transfer import Weights, load_weights, plain


def read_weights(path: Path, res_scale: float | None = None) -> Weights:
    """Read the weights that ``path`` means.

    Args:
        path: a run folder (its best checkpoint), a ``step_…`` folder, a ``.ckpt`` file, also of MindSpore's model zoo,
            or a file in one of the formats of ``srtrain.weights.SUFFIXES``.
        res_scale: factor of the residual branches, for files of other frameworks, which do not contain it; ``None``
            assumes the usual one.

    Raises:
        CheckpointError: nothing of the kind, or broken.
    """
    if path.suffix in SUFFIXES and not path.is_dir():
        return Weights(path, *edsr_pytorch.read(path, res_scale))
    file, about = find_weights(path)
    tensors = {name: np.asarray(value.asnumpy()) for name, value in read_tensors(file, about).items()}
    if not about and model_zoo.is_zoo(tensors):
        return Weights(file, *model_zoo.convert(file, tensors, res_scale))
    return plain(Weights(file, tensors, about))


def build_model(weights: Weights) -> nn.Cell:
    """Return the network that the weights are of, with them in it.

    Raises:
        CheckpointError: the file does not say which network it holds, or holds another.
    """
    about = weights.about
    if missing := [key for key in ("model", "scale") if key not in about]:
        raise CheckpointError(
            f"{str(weights.source)!r} does not say its {' and '.join(missing)}, so its network cannot be built. Give "
            f"the step_… folder it is from, whose state.json knows."
        )
    activate_plugins(weights.source, about)
    model = network_of(about, weights.source)
    load_weights(model, weights, about)
    return model


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
            f"the network {name!r} that {str(source)!r} describes cannot be built: {reason}"
        ) from error
    return model


def at_scale(weights: Weights, scale: int | None) -> Weights:
    """Return weights as those of their network at a scale; ``None`` means the scale that the file names.

    Raises:
        RecipeError: the network does not work at this scale.
    """
    about = weights.about
    if scale is None or scale == about.get("scale"):
        return weights
    activate_plugins(weights.source, about)
    known = scales_of(about["model"], model_args(about)) if "model" in about else ()
    if scale not in known:
        has = listing([f"x{one}" for one in known or (about.get("scale", "?"),)])
        raise RecipeError(f"--scale {scale}: the network in {str(weights.source)!r} works at {has} only.")
    return replace(weights, about={**about, "scale": scale})


def activate_plugins(file: Path, about: Mapping[str, Any]) -> None:
    """Activate the plugins that a checkpoint needs, unless its network is already supplied by another plugin.

    Args:
        file: a file of the checkpoint.
        about: what the checkpoint says about itself.

    Raises:
        RecipeError: a plugin is missing, or the user has not consented to it.
    """
    if about.get("model") not in MODELS.additions() or plugins.active() & set(about.get("plugins", ())):
        for name in allowed(about.get("plugins", ()), run_folder_of(file)):
            plugins.activate(name)


def model_args(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a network as a recipe gives them; a checkpoint keeps them as JSON."""
    args: dict[str, Any] = decode(about.get("model_args", {}))
    return args
