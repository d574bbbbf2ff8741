"""Count parameters and multi-adds of a built network, by running it instead of by a formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from srtrain.device.mode import pynative
from srtrain.models.ensemble import channels_of

_PROBE_PX = (12, 16)


@dataclass(frozen=True)
class Cost:
    """The size of a network and the work of one forward pass.

    Attributes:
        n_parameters: number of trainable values.
        multi_adds: multiply-accumulate operations in convolutions and dense layers, for an output of ``output_px``.
            Biases and activations are not counted; papers do the same.
        output_px: (width, height) of the output.
    """

    n_parameters: int
    multi_adds: int
    output_px: tuple[int, int]

    def __str__(self) -> str:
        width, height = self.output_px
        billions = self.multi_adds / 1e9
        return f"{self.n_parameters:,} parameters, {billions:.1f} G multi-adds for {width} x {height} output"


def count(model: nn.Cell, scale: int, output_px: tuple[int, int] = (1280, 720)) -> Cost:
    """Count the parameters of a network, and its multi-adds for an output of this (width, height).

    A forward pass of a small picture shows the size of every layer's output. The work of a convolutional network is
    proportional to the number of pixels, so the count is scaled to ``output_px``. Papers use an output of 1280 x 720 at
    every scale (ESRN table 2, for example).
    """
    seen: dict[str, int] = {}

    def watch(cell: nn.Cell, name: str) -> Any:
        def after(_: nn.Cell, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            # Weights: (out, in / groups, h, w); dense (out, in); transposed convolution (in, out, h, w).
            worked_on = inputs[0] if isinstance(cell, nn.Conv2dTranspose) else output
            seen[name] = seen.get(name, 0) + worked_on.size * int(np.prod(cell.weight.shape[1:]))

        return after

    layers = (nn.Conv2d, nn.Conv2dTranspose, nn.Dense)
    handles = [
        cell.register_forward_hook(watch(cell, name))
        for name, cell in model.cells_and_names()
        if isinstance(cell, layers)
    ]
    height, width = _PROBE_PX
    try:
        with pynative():  # hooks of cells run in PyNative mode only
            model(Tensor(np.zeros((1, channels_of(model), height, width), np.float32)))
    finally:
        for handle in handles:
            handle.remove()
    pixels = output_px[0] * output_px[1] / (height * width * scale**2)
    return Cost(
        n_parameters=n_parameters(model),
        multi_adds=round(sum(seen.values()) * pixels),
        output_px=output_px,
    )


def n_parameters(model: nn.Cell) -> int:
    """Return the number of trainable values."""
    return sum(int(np.prod(p.shape)) for p in model.trainable_params())
