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
from srtrain.errors import CheckpointError, RecipeError, listing
from srtrain.models import BLOCKS, MODELS
from srtrain.models.scales import scales_of
from srtrain.trainer.checkpoint import find_weights, read_tensors, run_folder_of
from srtrain.weights import edsr_names, edsr_pytorch, foreign, is_weights_file, model_zoo, tensor_file
from srtrain.weights.described import model_args, network_of
from srtrain.weights.network import Network
from srtrain.weights.tensor_file import TensorFile
from srtrain.weights.transfer import Weights, load_weights, plain
from srtrain.zoo import located


def read_weights(path: Path, res_scale: float | None = None, network: Network | None = None) -> Weights:
    """Read the weights that ``path`` means.

    Args:
        path: a run folder (its best checkpoint), a ``step_…`` folder, a ``.ckpt`` file, also of MindSpore's model zoo
            or of Lightning, a file in one of the formats of ``srtrain.weights.SUFFIXES``, or the name of a built-in
            model.
        res_scale: factor of the residual branches, for files of other frameworks, which do not contain it; ``None``
            assumes the usual one.
        network: the network that a file of another framework is for, or a ``.ckpt`` file without its ``state.json``.
            ``None`` detects an EDSR. Other files of srtrain know their network.

    Raises:
        CheckpointError: nothing of the kind, or broken, or the tensors do not fit the network.
    """
    path = located(path)
    if is_weights_file(path):
        return _read_file(path, res_scale, network)
    file, about = find_weights(path)
    tensors = {name: np.asarray(value.asnumpy()) for name, value in read_tensors(file, about).items()}
    if not about and model_zoo.is_zoo(tensors):
        return Weights(file, *model_zoo.convert(file, tensors, res_scale))
    if not about and network is not None:
        return _fitted(TensorFile(tensors, "", None, "ms"), file, network)
    return plain(Weights(file, tensors, about))


def _read_file(path: Path, res_scale: float | None, network: Network | None) -> Weights:
    """Read a file of named tensors, of srtrain or of another framework."""
    file = tensor_file.read(path)
    about = file.about or {}
    if about.get("names"):
        if missing := [key for key in ("model", "scale") if key not in about]:
            raise CheckpointError(
                f"what srtrain wrote beside the tensors of {str(path)!r} is damaged: no {' and '.join(missing)}."
            )
        activate_plugins(path, about)
        described = Network(about["model"], model_args(about), (about["scale"],))
        tensors, found = foreign.fit(file, path, described)
        return Weights(path, tensors, {**found, **about})
    if edsr_pytorch.is_edsr(file) and (network is None or network.model == "edsr"):
        given = None if network is None else network.model_args.get("res_scale", res_scale)
        return Weights(path, *edsr_pytorch.convert(file, path, res_scale if given is None else given))
    if network is None:
        raise CheckpointError(
            f"{str(path)!r} holds no EDSR, and does not say which network it holds: its tensors are "
            f"{edsr_names.some(list(file.tensors))}. Name the network: --model NAME --scale N, with --plugin where a "
            f"plugin supplies it (docs/others_weights.md)."
        )
    return _fitted(file, path, network)


def _fitted(file: TensorFile, path: Path, network: Network) -> Weights:
    """Return the tensors of a file that does not know its network as the weights of this one."""
    tensors, found = foreign.fit(file, path, network)
    blocks = [value for value in network.model_args.values() if isinstance(value, str) and value in BLOCKS]
    entries = [MODELS.get(network.model), *map(BLOCKS.get, blocks)]
    needed = list(dict.fromkeys(name for entry in entries for name in plugins.suppliers(entry)))
    return Weights(path, tensors, {**found, **({"plugins": needed} if needed else {})})


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
