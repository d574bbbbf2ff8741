"""EDSR in PyTorch, for comparison: the same network with the same names of weights, independent of srtrain."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def conv(n_in: int, n_out: int) -> nn.Conv2d:
    """Return a 3×3 convolution that keeps height and width, with PyTorch's initial weights."""
    return nn.Conv2d(n_in, n_out, 3, padding=1)


class ResidualBlock(nn.Module):
    """conv, ReLU, conv, times ``res_scale``, plus the input."""

    def __init__(self, n_feats: int, res_scale: float) -> None:
        super().__init__()
        self.conv1 = conv(n_feats, n_feats)
        self.conv2 = conv(n_feats, n_feats)
        self.res_scale = res_scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the same NCHW shape."""
        return x + self.res_scale * self.conv2(functional.relu(self.conv1(x)))


class EDSR(nn.Module):
    """EDSR with the arguments and the names of weights of ``srtrain.models.edsr.EDSR``.

    The rows of ``upsampler.*`` have PyTorch's pixel-shuffle order, which differs from srtrain's.
    """

    def __init__(self, scale: int, n_resblocks: int = 16, n_feats: int = 64, res_scale: float = 1.0) -> None:
        super().__init__()
        mean = 255 * torch.tensor([0.4488, 0.4371, 0.4040]).reshape(1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)
        self.head = conv(3, n_feats)
        self.body = nn.Sequential(*(ResidualBlock(n_feats, res_scale) for _ in range(n_resblocks)))
        self.body_end = conv(n_feats, n_feats)
        layers: list[nn.Module] = []
        for factor in {2: [2], 3: [3], 4: [2, 2]}[scale]:
            layers += [conv(n_feats, factor * factor * n_feats), nn.PixelShuffle(factor)]
        self.upsampler = nn.Sequential(*layers)
        self.tail = conv(n_feats, 3)

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        """Upscale RGB NCHW in [0, 255] by ``scale``."""
        x = self.head(lq - self.mean)
        x = x + self.body_end(self.body(x))
        return self.tail(self.upsampler(x)) + self.mean
