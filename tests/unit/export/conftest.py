"""Networks for export tests; one has every operator that the exports translate, unlike EDSR."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from srtrain.models import MODELS
from srtrain.models.blocks import MeanShift, PixelShuffle, conv


class Supported(nn.Cell):
    """Splits and joins channels, groups and dilates convolutions, multiplies and divides; x2."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.subtract_mean = MeanShift((0.4, 0.3, 0.2), sign=-1)
        self.head = conv(3, 8)
        self.grouped = conv(4, 4, groups=2)
        self.wide = nn.Conv2d(8, 8, 3, pad_mode="same", dilation=2, has_bias=True)
        self.point = nn.Conv2d(8, 12, 1, pad_mode="valid")
        self.gain = ms.Parameter(np.linspace(0.5, 1.5, 12, dtype=np.float32).reshape(1, 12, 1, 1))
        self.shuffle = PixelShuffle(scale)

    def construct(self, lq: ms.Tensor) -> ms.Tensor:
        x = self.head(self.subtract_mean(lq)) / 4
        y, z = ops.split(x, 4, axis=1)
        y = self.grouped(ops.relu(y))
        both = ops.relu(ops.concat((z, y), axis=1) - x)
        x = self.wide(both) + both * 0.5 + x[:, 0:8]
        middle = x[:, 2:6]
        x = self.point(ops.concat((middle, x[:, 4:]), axis=1)) * self.gain - 3.0
        return self.shuffle(ops.relu(x) + x)


class Oddments(Supported):
    """Has one more operator, which the ncnn export does not know."""

    def construct(self, lq: ms.Tensor) -> ms.Tensor:
        return ops.minimum(super().construct(lq), 200.0)


class Baked(nn.Cell):
    """Reshapes to constants of the size at which it is traced."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.conv = conv(3, 12)
        self.shuffle = nn.PixelShuffle(scale)

    def construct(self, lq: ms.Tensor) -> ms.Tensor:
        return self.shuffle(self.conv(lq))


class Lopsided(nn.Cell):
    """Pads each side of a feature map by another number of pixels."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        padding = (0, 2, 3, 1)  # top, bottom, left, right
        self.conv = nn.Conv2d(3, 12, (3, 5), pad_mode="pad", padding=padding, has_bias=True)
        self.shuffle = PixelShuffle(scale)

    def construct(self, lq: ms.Tensor) -> ms.Tensor:
        return self.shuffle(self.conv(lq))


class Resized(nn.Cell):
    """Its operator for resizing has no counterpart in MindSpore's exporter for ONNX."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.tail = conv(3, 3)
        self.scale = float(scale)

    def construct(self, x: Tensor) -> Tensor:
        factors = (self.scale, self.scale)
        y = ops.interpolate(x, scale_factor=factors, mode="bilinear", recompute_scale_factor=True)
        return y + self.tail(y)


@pytest.fixture
def odd_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the networks of this file for one test."""
    kinds = {
        "oddments": Oddments,
        "supported": Supported,
        "baked": Baked,
        "lopsided": Lopsided,
        "resized": Resized,
    }
    for name, kind in kinds.items():
        monkeypatch.setitem(MODELS._entries, name, kind)
        monkeypatch.setitem(MODELS._from_run, name, ("scale",))
