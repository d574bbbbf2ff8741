"""Blocks run line by line, on NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from numpy.typing import NDArray

Array = NDArray[np.float32]


@pytest.fixture(autouse=True)
def _line_by_line(pynative: None) -> None:
    """Use PyNative mode: nothing is compiled."""


@pytest.fixture
def run() -> Callable[[nn.Cell, Array], Array]:
    """Return a function that runs a layer on an array."""
    return lambda layer, x: layer(ms.Tensor(x.astype(np.float32))).asnumpy()


@pytest.fixture
def random() -> Callable[..., Array]:
    """Return a function that draws an array of a shape."""
    generator = np.random.default_rng(3)
    return lambda *shape: generator.standard_normal(shape).astype(np.float32)
