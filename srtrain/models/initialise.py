"""Initial weights: a pure function of the seed and the name of each Parameter."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import mindspore as ms
import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from srtrain.models import INITIALISERS

Initialise = Callable[[np.random.Generator, str, tuple[int, ...]], NDArray[np.float64]]
"""Draws values from (generator, ``"weight"`` or ``"bias"``, shape of the weight)."""


@INITIALISERS.register("kaiming_uniform")
def kaiming_uniform() -> Initialise:
    """Return PyTorch's default for convolutions: weight and bias are uniform in ±1/sqrt(fan-in)."""

    def draw(generator: np.random.Generator, kind: str, weight_shape: tuple[int, ...]) -> NDArray[np.float64]:
        bound = 1 / math.sqrt(math.prod(weight_shape[1:]))
        shape = weight_shape if kind == "weight" else weight_shape[:1]
        return generator.uniform(-bound, bound, shape)

    return draw


@INITIALISERS.register("truncated_normal")
def truncated_normal(sigma: float = 0.02) -> Initialise:
    """Return the model zoo's initialisation: normal weights, redrawn beyond two sigma, and zero biases.

    Args:
        sigma: standard deviation of the weights.
    """

    def draw(generator: np.random.Generator, kind: str, weight_shape: tuple[int, ...]) -> NDArray[np.float64]:
        if kind == "bias":
            return np.zeros(weight_shape[:1])
        values = generator.standard_normal(weight_shape)
        while (outside := np.abs(values) > 2).any():
            values[outside] = generator.standard_normal(int(outside.sum()))
        return values * sigma

    return draw


def initialise(model: nn.Cell, method: Initialise, seed: int) -> None:
    """Initialise the weight and bias of every convolution; other Parameters keep their values.

    Each Parameter has its own generator, seeded with (seed, name). Adding a layer to a network therefore does not
    change the initial values of the other layers.
    """
    for prefix, cell in model.cells_and_names():
        if not isinstance(cell, nn.Conv2d):
            continue
        shape = tuple(cell.weight.shape)
        for kind in ("weight", "bias") if cell.has_bias else ("weight",):
            parameter: ms.Parameter = getattr(cell, kind)
            generator = np.random.default_rng([seed, zlib.crc32(f"{prefix}.{kind}".encode())])
            values = method(generator, kind, shape).astype(np.float32)
            parameter.set_data(ms.Tensor(values.reshape(parameter.shape)))
