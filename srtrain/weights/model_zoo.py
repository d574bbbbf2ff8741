"""Convert EDSR from the checkpoints of MindSpore's model zoo: names, training state, and the normalisation.

    ours                    model zoo
    head                    head.0
    body.N.conv1, conv2     body.N.conv1, conv2
    body_end                body.<blocks>
    upsampler.0, 2          tail.0.up.0, 2
    tail                    tail.1
    rgb_mean (argument)     norm, de_norm

The model zoo's network maps the picture to ``(x / 255 - mean) / std`` before its first convolution, and the output of
its last one to ``(y * std + mean) * 255``. Both are one factor and one constant for each colour. The factors become
part of the weights of head and tail, and the constants are our ``rgb_mean``. The order of channels before a pixel
shuffle is the same as ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from srtrain.errors import CheckpointError
from srtrain.weights import edsr_names
from srtrain.weights.edsr_names import Tensors

NAMES = "MindSpore's model zoo"
"""What a description says of the names in such a file."""

_PREFIXES = (
    "net.",
    "network.",
    "_backbone.",
    "backbone.",
)  # of classes around the network in MindSpore's trainer
_OWN = re.compile(r"(head|body|tail|norm|de_norm)\.")
_STATE = re.compile(
    r"(moment\d?|moments|accum|beta\d_power|learning_rate|weight_decay|global_step|epoch_num|step_num|scale_sense|"
    r"loss_scale|[a-z_]*_iterator_step)(\.|$)"
)
_LAYERS = ("norm.weight", "norm.bias", "de_norm.weight", "de_norm.bias")
_DEFAULT_MEAN = (0.4488, 0.4371, 0.4040)  # in its DIV2K_config.yaml
_RES_SCALE = 0.1


def is_zoo(given: Iterable[str]) -> bool:
    """Return whether these names are those of the model zoo's EDSR."""
    plain = {_without_prefixes(name) for name in given}
    return {"head.0.weight", "tail.0.up.0.weight"} <= plain


def convert(
    path: Path, given: Mapping[str, Any], res_scale: float | None = None
) -> tuple[Tensors, dict[str, Any]]:
    """Return the tensors under our names, and the description of a checkpoint.

    Args:
        path: for messages.
        given: the tensors of the file.
        res_scale: factor of the residual branches, which the file does not contain; the model zoo's is 0.1.

    Raises:
        CheckpointError: names, shapes or the normalisation are not those of the model zoo's EDSR.
    """
    state = [name for name in given if _STATE.match(_without_prefixes(name))]
    theirs = {_without_prefixes(name): np.asarray(t) for name, t in given.items() if name not in state}
    layers = {name: theirs.pop(name) for name in _LAYERS if name in theirs}
    n_blocks = edsr_names.count_blocks(theirs)
    scale = edsr_names.find_scale(theirs, "tail.0.up.", path)
    tensors = edsr_names.rename(theirs, edsr_names.by_their_name("model zoo", n_blocks, scale), path)
    n_feats, kernel_px = edsr_names.check_shapes(tensors, n_blocks, scale, path)
    mean, factor, said = _normalisation(layers, path)
    _fold(tensors, *factor)
    return tensors, {
        "model": "edsr",
        "model_args": {
            "n_resblocks": n_blocks,
            "n_feats": n_feats,
            "kernel_px": kernel_px,
            "res_scale": _RES_SCALE if res_scale is None else res_scale,
            "rgb_mean": mean,
        },
        "scale": scale,
        "origin": {
            "file": path.name,
            "names": NAMES,
            "mean": said,
            "res_scale": "the model zoo's" if res_scale is None else "given",
        },
    }


def _without_prefixes(name: str) -> str:
    while prefix := next((p for p in _PREFIXES if name.startswith(p)), None):
        name = name.removeprefix(prefix)
    return name


def _normalisation(layers: Mapping[str, Any], path: Path) -> tuple[list[float], tuple[Any, Any], str]:
    """Return the mean in [0, 1], the factors of input and output for each colour, and where they are from."""
    if not layers:
        one = np.full(3, 255.0)
        return list(_DEFAULT_MEAN), (1 / one, one), "the model zoo's, which is not in the file"
    if len(layers) < len(_LAYERS) or any(layer.size != 3 for layer in layers.values()):
        raise CheckpointError(
            f"{str(path)!r} has {edsr_names.some(list(layers))} instead of {edsr_names.some(_LAYERS)} for RGB."
        )
    factor, minus, back, plus = (layers[name].astype(np.float64).reshape(3) for name in _LAYERS)
    if not (np.allclose(factor * back, 1, atol=1e-5) and np.allclose(minus, -plus * factor, atol=1e-5)):
        raise CheckpointError(
            f"the normalisation in {str(path)!r} is not undone at the output: norm is {factor.tolist()} and "
            f"{minus.tolist()}, de_norm is {back.tolist()} and {plus.tolist()}."
        )
    return [edsr_names.plain(value / 255) for value in plus], (factor, back), "de_norm of the file"


def _fold(tensors: Tensors, factor: Any, back: Any) -> None:
    """Make the factors of the normalisation a part of the first and last convolution."""
    head, tail, bias = (
        tensors[name].astype(np.float64) for name in ("head.weight", "tail.weight", "tail.bias")
    )
    tensors["head.weight"] = (head * factor.reshape(1, 3, 1, 1)).astype(np.float32)
    tensors["tail.weight"] = (tail * back.reshape(3, 1, 1, 1)).astype(np.float32)
    tensors["tail.bias"] = (bias * back).astype(np.float32)
