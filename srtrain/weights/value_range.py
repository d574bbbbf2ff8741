"""Weights of a network that works in [0, 1] as weights of the same network for [0, 255], and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from srtrain.arrays import Float32
from srtrain.device.mode import pynative
from srtrain.errors import CheckpointError
from srtrain.models.blocks import MeanShift
from srtrain.models.ensemble import channels_of
from srtrain.models.parameters import put

Tensors = dict[str, Float32]

WHITE = {"0-255": 255.0, "0-1": 1.0}
"""The value of white in the ranges that weights are converted from."""

_PROBE_PX = (24, 32)
_ALLOWED = 0.02  # grey levels of 255; rounding makes a hundredth of that


def check_range(value_range: str) -> None:
    """Refuse a range that weights cannot be converted from.

    Raises:
        CheckpointError: it is another one, whose black is not 0 or whose input and output differ.
    """
    if value_range not in WHITE:
        raise CheckpointError(
            f"weights cannot be converted from the range {value_range!r}. Allowed: 0-255 and 0-1. For other values, "
            f"compute them from [0, 255] in construct of the network, and back at its end (docs/new_model.md)."
        )


def convert_range(model: nn.Cell, tensors: Tensors, given: str, wanted: str, source: Path) -> Tensors:
    """Return weights with which the network takes and returns values of another range.

    The first convolution takes the range of the input, and the last one that of the output. Whether that is enough
    depends on the network, so it is computed both ways on a small picture.

    Args:
        model: the network; its weights are overwritten.
        tensors: its weights, by the names of its Parameters.
        given: the values that the weights are for: ``0-255`` or ``0-1``.
        wanted: the values that the returned weights are for.
        source: the file, for messages.

    Raises:
        CheckpointError: the network cannot be converted like this.
    """
    check_range(given)
    check_range(wanted)
    if given == wanted:
        return tensors
    factor = np.float32(WHITE[wanted] / WHITE[given])
    lq = (
        np.random.default_rng(0)
        .uniform(0, WHITE[given], (1, channels_of(model), *_PROBE_PX))
        .astype(np.float32)
    )
    _load(model, tensors)
    before, called = _run(model, lq, WHITE[given])
    if not called:
        raise _refusal(model, source, given, wanted)
    scaled = dict(tensors)
    scaled[f"{called[0]}.weight"] = tensors[f"{called[0]}.weight"] / factor
    for name in (f"{called[-1]}.weight", f"{called[-1]}.bias"):
        if name in tensors:
            scaled[name] = scaled[name] * factor
    _load(model, scaled)
    after, _ = _run(model, lq * factor, WHITE[wanted])
    differs = np.abs(after - factor * before).max() * 255 / WHITE[wanted]
    if not differs <= _ALLOWED:  # written like this, NaN is refused too
        raise _refusal(model, source, given, wanted)
    return scaled


def _load(model: nn.Cell, tensors: Tensors) -> None:
    for name, parameter in model.parameters_dict().items():
        put(parameter, tensors[name])


def _run(model: nn.Cell, lq: Float32, white: float) -> tuple[Float32, list[str]]:
    """Run a network whose mean colours are those of a range; return its output, and its convolutions in order."""
    called: list[str] = []

    def note(name: str) -> Any:
        return lambda cell, inputs, output: called.append(name)

    cells = list(model.cells_and_names())
    means = [cell for _, cell in cells if isinstance(cell, MeanShift)]
    usual = [cell.shift for cell in means]
    handles = [cell.register_forward_hook(note(name)) for name, cell in cells if isinstance(cell, nn.Conv2d)]
    try:
        for cell in means:
            cell.shift = ms.Tensor(cell.shift.asnumpy() * np.float32(white / 255))
        with pynative():
            return np.asarray(model(ms.Tensor(lq)).asnumpy()), called
    finally:
        for cell, shift in zip(means, usual, strict=True):
            cell.shift = shift
        for handle in handles:
            handle.remove()


def _refusal(model: nn.Cell, source: Path, given: str, wanted: str) -> CheckpointError:
    return CheckpointError(
        f"the weights of {str(source)!r} cannot be converted from values in {given} to {wanted}: "
        f"{type(model).__name__} computes something else when its first and last convolution are scaled. Let its "
        f"construct divide the picture by 255 and multiply the result by 255, and leave out --range and torch_range "
        f"(docs/new_model.md)."
    )
