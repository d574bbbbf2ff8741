"""ESRN: Efficient Residual Dense Block Search for Image Super-Resolution (Song et al., AAAI 2020).

The paper's text was not at hand: the network is built from its description in the authors' public documentation, and
what is our reading is said where it stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mindspore import Tensor, nn, ops

from srtrain.errors import RecipeError, listing
from srtrain.models import BLOCKS, MODELS
from srtrain.models.blocks import DIV2K_MEAN, MeanShift, PixelShuffle, conv

EXAMPLE = (
    *("G_8_16_24", "C_8_16_16", "G_4_16_24", "G_8_16_16", "S_4_24_32", "C_8_16_48", "S_4_16_24", "G_6_16_24"),
    *("G_8_16_16", "C_8_16_24", "S_8_16_16", "S_8_16_24", "S_8_16_32", "S_6_16_16", "G_6_16_64", "G_8_16_16"),
    "S_8_16_32",
)
"""The network that the authors give as an example of what is found: 520 595 parameters at x2."""

_SHUFFLED = 24  # channels after the last shuffle of a network of one stage, as in the authors' x2


@dataclass(frozen=True, order=True)
class BlockKind:
    """A kind of block: ``C_8_16_48`` is type C with 8 convolutions of 16 channels and 48 channels out.

    Attributes:
        type: a name from ``BLOCKS``.
        n_convs: convolutions.
        growth: channels that each of them adds.
        n_out: channels of the block's output.
    """

    type: str
    n_convs: int
    growth: int
    n_out: int

    def __str__(self) -> str:
        return f"{self.type}_{self.n_convs}_{self.growth}_{self.n_out}"

    @classmethod
    def parse(cls, name: str) -> BlockKind:
        """Read a name.

        Raises:
            RecipeError: it is none, or its type is not registered.
        """
        match = re.fullmatch(r"(\w+)_([1-9]\d*)_([1-9]\d*)_([1-9]\d*)", name)
        if match is None:
            raise RecipeError(
                f"{name!r} is no name of a block. Write TYPE_CONVOLUTIONS_GROWTH_OUTPUT, such as S_8_16_32."
            )
        if match[1] not in BLOCKS.names():
            raise RecipeError(
                f"{name!r}: no block is registered as {match[1]!r}. There are: {listing(BLOCKS.names())}. If a plugin "
                f"supplies it, name that plugin with --plugin."
            )
        return cls(match[1], int(match[2]), int(match[3]), int(match[4]))

    @property
    def halves(self) -> bool:
        """Whether it works at half the size, as its class says in ``halves``."""
        return bool(getattr(BLOCKS.get(self.type), "halves", False))

    def build(self, n_in: int) -> nn.Cell:
        """Return the block for an input of ``n_in`` channels."""
        block: nn.Cell = BLOCKS.build(
            self.type, n_in=n_in, n_convs=self.n_convs, growth=self.growth, n_out=self.n_out
        )
        return block


class DenseBlock(nn.Cell):
    """What the three types share: a way in, a dense middle, a residual around both.

    A search may leave a block out that says its ``n_in`` and ``n_out`` and has them equal.

    Where the input has another width than the growth, a 1x1 convolution goes before the middle. The residual is the
    input where that has the output's width, else what went into the middle where that has it, else the input
    through a 1x1 convolution. A derived class has ``middle``, from ``growth`` to ``n_out`` channels.
    """

    def __init__(self, n_in: int, growth: int, n_out: int) -> None:
        super().__init__()
        self.n_in, self.n_out = n_in, n_out
        self.enters = n_in != growth
        self.keeps_input = n_in == n_out
        self.keeps_entered = not self.keeps_input and growth == n_out
        if self.enters:
            self.enter = conv(n_in, growth, 1)
        if not self.keeps_input and not self.keeps_entered:
            self.residual = conv(n_in, n_out, 1)

    @staticmethod
    def receptive_px(n_convs: int) -> int:
        """Return how far the block looks from a pixel."""
        return n_convs

    def construct(self, x: Tensor) -> Tensor:
        """Map (N, n_in, H, W) to (N, n_out, H, W)."""
        y = x
        if self.enters:
            y = self.enter(x)
        if self.keeps_input:
            return x + self.middle(y)
        if self.keeps_entered:
            return y + self.middle(y)
        return self.residual(x) + self.middle(y)


@BLOCKS.register("S")
class ShrinkBlock(DenseBlock):
    """Compresses channels: after each convolution a 1x1 convolution leads from all there is back to the growth."""

    def __init__(self, n_in: int, n_convs: int, growth: int, n_out: int) -> None:
        super().__init__(n_in, growth, n_out)
        self.middle = ShrinkingDense(n_convs, growth, n_out)


class ShrinkingDense(nn.Cell):
    """For c = 1..n: conv 3x3 and ReLU, concatenated to what was there; 1x1 from (c+1)·growth to the growth."""

    def __init__(self, n_convs: int, growth: int, n_out: int, repeats: int = 1, shuffle: int = 1) -> None:
        super().__init__()
        self.repeats = repeats
        self.convs = nn.CellList([conv(growth, growth) for _ in range(n_convs)])
        self.shrinks = nn.CellList([conv((c + 1) * growth, growth, 1) for c in range(1, n_convs)])
        self.up = PixelShuffle(shuffle) if shuffle > 1 else nn.Identity()
        self.leave = conv((n_convs + 1) * growth // shuffle**2, n_out, 1)

    def construct(self, y: Tensor) -> Tensor:
        """Map (N, growth, H, W) to (N, n_out, H·shuffle, W·shuffle)."""
        dense = y
        for c in range(len(self.convs)):
            if c > 0:
                y = self.shrinks[c - 1](dense)
            for _ in range(self.repeats):
                y = ops.relu(self.convs[c](y))
            dense = ops.concat((dense, y), 1)
        return self.leave(self.up(dense))


@BLOCKS.register("G")
class GroupBlock(DenseBlock):
    """Compresses convolutions: grouped ones, on shuffled channels."""

    def __init__(self, n_in: int, n_convs: int, growth: int, n_out: int) -> None:
        super().__init__(n_in, growth, n_out)
        self.middle = GroupedDense(n_convs, growth, n_out)


class GroupedDense(nn.Cell):
    """For c = 1..n: shuffle in c groups, conv 3x3 c·growth→growth in min(4, 2^⌊log2 c⌋) groups, ReLU, concatenate."""

    def __init__(self, n_convs: int, growth: int, n_out: int) -> None:
        super().__init__()
        if growth % 4 and n_convs >= 4:
            raise RecipeError(f"a block of type G needs a growth that is a multiple of 4, not {growth}.")
        self.shuffles = nn.CellList([ChannelShuffle(c * growth, c) for c in range(2, n_convs + 1)])
        self.convs = nn.CellList(
            [conv(c * growth, growth, groups=min(4, 2 ** int(math.log2(c)))) for c in range(1, n_convs + 1)]
        )
        self.leave = conv((n_convs + 1) * growth, n_out, 1)

    def construct(self, y: Tensor) -> Tensor:
        """Map (N, growth, H, W) to (N, n_out, H, W)."""
        dense = ops.concat((y, ops.relu(self.convs[0](y))), 1)
        for c in range(1, len(self.convs)):
            y = ops.relu(self.convs[c](self.shuffles[c - 1](dense)))
            dense = ops.concat((dense, y), 1)
        return self.leave(dense)


class ChannelShuffle(nn.Cell):
    """Deals the channels of ``n_groups`` groups out in turn, as ShuffleNet does: of (a, b, c, d) in 2, (a, c, b, d)."""

    def __init__(self, n_channels: int, n_groups: int) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.n_groups = n_groups

    def construct(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) with its channels in the new order."""
        n, c, h, w = ops.shape(x)
        x = ops.reshape(x, (n, self.n_groups, c // self.n_groups, h, w))
        return ops.reshape(ops.transpose(x, (0, 2, 1, 3, 4)), (n, c, h, w))


@BLOCKS.register("C")
class ContextBlock(DenseBlock):
    """Compresses the feature scale: works at half the size, where each convolution is applied three times."""

    halves = True

    def __init__(self, n_in: int, n_convs: int, growth: int, n_out: int) -> None:
        super().__init__(n_in, growth, n_out)
        if (n_convs + 1) * growth % 4:
            raise RecipeError(f"a block of type C needs a growth that is a multiple of 4, not {growth}.")
        self.middle = nn.SequentialCell(
            nn.AvgPool2d(2, 2), ShrinkingDense(n_convs, growth, n_out, repeats=3, shuffle=2)
        )

    @staticmethod
    def receptive_px(n_convs: int) -> int:
        """Return how far the block looks from a pixel: it may be either of the two that one of half the size is for."""
        return 2 * 3 * n_convs + 1


class PadToEven(nn.Cell):
    """Repeats the last row and the last column where their number is odd, so that halves are whole."""

    def construct(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same with even H and W."""
        h, w = ops.shape(x)[2:]
        x = ops.concat((x, x[:, :, -1:]), 2)[:, :, : h + h % 2]
        return ops.concat((x, x[:, :, :, -1:]), 3)[:, :, :, : w + w % 2]


class CropLike(nn.Cell):
    """Leaves of a picture what belongs to an input of another's size."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def construct(self, sr: Tensor, lq: Tensor) -> Tensor:
        """Return the first scale·H rows and scale·W columns, of a picture ``lq`` of (H, W)."""
        h, w = ops.shape(lq)[2:]
        return sr[:, :, : h * self.scale, : w * self.scale]


@MODELS.register("esrn", from_run=("scale",))
class ESRN(nn.Cell):
    """Two shallow convolutions, a row of efficient dense blocks whose outputs are all fused, and an upsampler.

    Args:
        scale: 2, 3 or 4.
        blocks: names of blocks in order, such as ``S_8_16_32``; their types are from ``BLOCKS``, built with ``n_in``,
            ``n_convs``, ``growth`` and ``n_out``.
        n_feats: channels outside of the blocks, G0 in the paper.
        rgb_mean: mean colour in [0, 1], taken off the input and put back.
    """

    scale_dependent = ("upsampler.",)

    def __init__(
        self,
        scale: int,
        blocks: Sequence[str] = EXAMPLE,
        n_feats: int = 32,
        rgb_mean: tuple[float, float, float] = DIV2K_MEAN,
    ) -> None:
        super().__init__()
        if not blocks:
            raise RecipeError("an ESRN needs at least one block: model.blocks is empty.")
        self.n_feats = n_feats
        kinds = [BlockKind.parse(name) for name in blocks]
        widths = [n_feats, *(kind.n_out for kind in kinds)]
        self.subtract_mean = MeanShift(rgb_mean, sign=-1)
        self.head = conv(3, n_feats)
        self.enter = conv(n_feats, n_feats)
        self.blocks = nn.CellList([kind.build(n_in) for kind, n_in in zip(kinds, widths, strict=False)])
        self.fuse = nn.SequentialCell(conv(sum(widths[1:]), n_feats, 1), conv(n_feats, n_feats))
        self.upsampler = upsampler(scale, n_feats)
        self.add_mean = MeanShift(rgb_mean, sign=1)
        self.halves = halves(blocks)
        if self.halves:
            self.pad = PadToEven()
            self.crop = CropLike(scale)

    @staticmethod
    def receptive_px(scale: int, blocks: Sequence[str], **_: Any) -> int | None:
        """Return how far the network looks from a pixel of its input; ``None`` when a block does not say."""
        kinds = [BlockKind.parse(name) for name in blocks]
        rules = [getattr(BLOCKS.get(kind.type), "receptive_px", None) for kind in kinds]
        known = [rule(n_convs=kind.n_convs) for rule, kind in zip(rules, kinds, strict=True) if rule]
        if len(known) < len(kinds):
            return None
        return 2 + sum(known) + 1 + 2  # two at the start, one that fuses, and two upsampling at any scale

    @staticmethod
    def size_multiple(blocks: Sequence[str], **_: Any) -> int:
        """Return 2 where a block works at half the size, so that tiles have to begin where its squares do."""
        return 2 if halves(blocks) else 1

    def construct(self, lq: Tensor) -> Tensor:
        """Map RGB NCHW in [0, 255] to the same at ``scale`` times the size; the output is not clipped."""
        whole = lq
        if self.halves:
            whole = self.pad(lq)
        shallow = self.head(self.subtract_mean(whole))
        x = self.enter(shallow)
        outputs: tuple[Tensor, ...] = ()
        for block in self.blocks:
            x = block(x)
            outputs += (x,)
        x = self.fuse(ops.concat(outputs, 1)) + shallow
        sr = self.add_mean(self.upsampler(x))
        if self.halves:
            sr = self.crop(sr, lq)
        return sr


def halves(blocks: Sequence[str]) -> bool:
    """Return whether any block works at half the size."""
    return any(BlockKind.parse(name).halves for name in blocks)


def upsampler(scale: int, n_feats: int) -> nn.SequentialCell:
    """Return the way from features to RGB: one shuffle that leaves 24 channels; at x4 two stages as EDSR has them.

    The authors' x2 has 96 channels before the shuffle. At x3 the 24 after it are kept (our reading: 96 cannot be
    shuffled by 3).

    Raises:
        RecipeError: another scale.
    """
    if scale in (2, 3):
        return nn.SequentialCell(conv(n_feats, _SHUFFLED * scale**2), PixelShuffle(scale), conv(_SHUFFLED, 3))
    if scale == 4:
        stages = [cell for _ in range(2) for cell in (conv(n_feats, 4 * n_feats), PixelShuffle(2))]
        return nn.SequentialCell(*stages, conv(n_feats, 3))
    raise RecipeError(f"scale = {scale!r} is not one of 2, 3, 4.")
