"""Bicubic interpolation as an engine: the baseline of every comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from srtrain.arrays import Float32
from srtrain.data.resize import imresize
from srtrain.engines.engine import Engine
from srtrain.metrics.protocol import quantise


class Bicubic(Engine):
    """MATLAB's ``imresize`` of 8-bit pictures, as in published bicubic results.

    It is not registered, since it opens no file.
    """

    name = "bicubic"

    def __init__(self, scale: int) -> None:
        self.path = Path("bicubic")
        self.scale = scale
        self.about = {"model": "bicubic", "scale": scale}

    def __call__(self, lq: Float32) -> Float32:
        """Upscale a batch; the input is first rounded to 8 bits."""
        pictures = [imresize(quantise(picture.transpose(1, 2, 0)), self.scale) for picture in lq]
        return np.stack([picture.transpose(2, 0, 1) for picture in pictures]).astype(np.float32)
