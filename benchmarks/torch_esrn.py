"""ESRN in PyTorch, for comparison: the same layers in the same order, written as usual in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

MEAN = (0.4488, 0.4371, 0.4040)


def conv(n_in: int, n_out: int, kernel_px: int = 3, groups: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size."""
    return nn.Conv2d(n_in, n_out, kernel_px, padding=kernel_px // 2, groups=groups)


class Block(nn.Module):
    """A block of any of the three types: S, G or C."""

    def __init__(self, n_in: int, name: str) -> None:
        super().__init__()
        self.type, *numbers = name.split("_")
        n, g, o = map(int, numbers)
        self.enter = conv(n_in, g, 1) if n_in != g else None
        self.skip = None if o in (n_in, g) else conv(n_in, o, 1)
        self.keeps_input = o == n_in
        if self.type == "G":
            self.convs = nn.ModuleList(
                conv(c * g, g, groups=min(4, 2 ** int(math.log2(c)))) for c in range(1, n + 1)
            )
        else:
            self.convs = nn.ModuleList(conv(g, g) for _ in range(n))
            self.shrinks = nn.ModuleList(conv((c + 1) * g, g, 1) for c in range(1, n))
        self.leave = conv((n + 1) * g // (4 if self.type == "C" else 1), o, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map NCHW to NCHW of the same height and width."""
        y = entered = x if self.enter is None else self.enter(x)
        if self.type == "C":
            y = functional.avg_pool2d(y, 2)
        dense = y
        for c, convolution in enumerate(self.convs, 1):
            if self.type == "G":
                y = functional.relu(convolution(functional.channel_shuffle(dense, c)))
            else:
                y = dense if c == 1 else self.shrinks[c - 2](dense)
                for _ in range(3 if self.type == "C" else 1):
                    y = functional.relu(convolution(y))
            dense = torch.cat((dense, y), 1)
        if self.type == "C":
            dense = functional.pixel_shuffle(dense, 2)
        skip = x if self.keeps_input else entered if self.skip is None else self.skip(x)
        return self.leave(dense) + skip


class ESRN(nn.Module):
    """Upscales RGB in [0, 255] by 2."""

    def __init__(self, blocks: Sequence[str], n_feats: int = 32) -> None:
        super().__init__()
        widths = [n_feats, *(int(name.split("_")[3]) for name in blocks)]
        self.register_buffer("mean", 255 * torch.tensor(MEAN).reshape(1, 3, 1, 1))
        self.head = conv(3, n_feats)
        self.enter = conv(n_feats, n_feats)
        self.blocks = nn.ModuleList(Block(n_in, name) for n_in, name in zip(widths, blocks, strict=False))
        self.fuse = nn.Sequential(conv(sum(widths[1:]), n_feats, 1), conv(n_feats, n_feats))
        self.tail = nn.Sequential(conv(n_feats, 96), nn.PixelShuffle(2), conv(24, 3))

    def forward(self, lq: Tensor) -> Tensor:
        """Map NCHW to NCHW of the same height and width."""
        shallow = self.head(lq - self.mean)
        x, outputs = self.enter(shallow), []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return self.tail(self.fuse(torch.cat(outputs, 1)) + shallow) + self.mean
