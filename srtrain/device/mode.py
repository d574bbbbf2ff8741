"""Graph mode and PyNative mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mindspore as ms
import numpy as np
from mindspore import nn

from srtrain.arrays import Float32


@contextmanager
def pynative() -> Iterator[None]:
    """Use PyNative mode in this block: nothing is compiled, and hooks of cells are called."""
    before = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        yield
    finally:
        ms.set_context(mode=before)


def as_function(model: nn.Cell) -> Callable[[Float32], Float32]:
    """Return a network as a function of arrays that compiles nothing, which is faster for a few calls."""

    def upscale(lq: Float32) -> Float32:
        with pynative():
            return np.asarray(model(ms.Tensor(lq)).asnumpy())

    return upscale
