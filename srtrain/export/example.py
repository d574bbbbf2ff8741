"""The input that MindSpore's own exporters trace a network with."""

from __future__ import annotations

import mindspore as ms
import numpy as np

from srtrain.engines.exported_file import Options


def example_input(options: Options) -> ms.Tensor:
    """Return a Tensor of the shape that the file is to take; it has no values where a size is free."""
    shape = [options.batch, 3, *(options.input_px or (None, None))]
    if None in shape:
        return ms.Tensor(shape=shape, dtype=ms.float32)
    return ms.Tensor(np.zeros(shape, np.float32))
