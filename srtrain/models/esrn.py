"""ESRN: Efficient Residual Dense Block Search for Image Super-Resolution (Song et al., AAAI 2020).

We did not have the text of the paper. The network follows the description in the authors' public documentation. Where
that leaves a choice open, the code says that the choice is our reading.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mindspore import Tensor, nn, ops

from srtrain.errors import RecipeError, listing
from srtrain.models import BLOCKS, MODELS
from srtrain.models.blocks import (
    CropLike,
    PadToEven,
    PictureNetwork,
    conv,
    last_convolution,
    upsampler_to_picture,
)

EXAMPLE = (
    *("G_8_16_24", "C_8_16_16", "G_4_16_24", "G_8_16_16", "S_4_24_32", "C_8_16_48", "S_4_16_24", "G_6_16_24"),
    *("G_8_16_16", "C_8_16_24", "S_8_16_16", "S_8_16_24", "S_8_16_32", "S_6_16_16", "G_6_16_64", "G_8_16_16"),
    "S_8_16_32",
)
"""The authors' example of a network that the search found: 520 595 parameters at x2."""


@dataclass(frozen=True, order=True)
class BlockKind:
    """A kind of block: ``C_8_16_48`` is type C with 8 convolutions of 16 channels and 48 output channels.

    Attributes:
        type: a name from ``BLOCKS``.
        n_convs: number of convolutions.
        growth: channels that each convolution adds.
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
        """Parse a name such as ``C_8_16_48``.

        Raises:
            RecipeError: the name has another form, or its type is not registered.
        """
        match = re.fullmatch(r"(\w+)_([1-9]\d*)_([1-9]\d*)_([1-9]\d*)", name)
        if match is None:
            raise RecipeError(
                f"{name!r} is not the name of a block. Write TYPE_CONVOLUTIONS_GROWTH_OUTPUT, such as S_8_16_32."
            )
        if match[1] not in BLOCKS.names():
            raise RecipeError(
                f"{name!r}: no block is registered as {match[1]!r}. Registered: {listing(BLOCKS.names())}. If a plugin "
                f"supplies it, name that plugin with --plugin."
            )
        return cls(match[1], int(match[2]), int(match[3]), int(match[4]))

    @property
    def halves(self) -> bool:
        """Whether the block works at half the size, which its class says in ``halves``."""
        return bool(getattr(BLOCKS.get(self.type), "halves", False))

    def build(self, n_in: int) -> nn.Cell:
        """Return the block for an input of ``n_in`` channels."""
        block: nn.Cell = BLOCKS.build(
            self.type, n_in=n_in, n_convs=self.n_convs, growth=self.growth, n_out=self.n_out
        )
        return block


@MODELS.register("esrn", from_run=("scale",))
class ESRN(PictureNetwork):
    """Two convolutions, a row of dense blocks, a fusion of the outputs of all blocks, and an upsampler.

    Args:
        scale: 2, 3 or 4; 1 leaves out the upsampler, for denoising and other tasks that keep the size.
        blocks: names of blocks in order, such as ``S_8_16_32``. Their types are names from ``BLOCKS``, built with
            ``n_in``, ``n_convs``, ``growth`` and ``n_out``.
        n_feats: channels outside of the blocks, G0 in the paper.

    Raises:
        RecipeError: no blocks, an unknown block, or a scale that is not supported.
    """

    scale_dependent = ("upsampler.",)
    linear_end = ("upsampler", "add_mean")  # as in EDSR

    def __init__(
        self,
        scale: int,
        blocks: Sequence[str] = EXAMPLE,
        n_feats: int = 32,
        **pictures: Any,
    ) -> None:
        super().__init__(**pictures)
        if not blocks:
            raise RecipeError(
                "an ESRN needs at least one block, but model.blocks is empty. Name blocks such as S_8_16_32."
            )
        self.n_feats = n_feats
        kinds = [BlockKind.parse(name) for name in blocks]
        widths = [n_feats, *(kind.n_out for kind in kinds)]
        self.head = conv(self.n_colors, n_feats)
        self.enter = conv(n_feats, n_feats)
        self.blocks = nn.CellList([kind.build(n_in) for kind, n_in in zip(kinds, widths, strict=False)])
        self.fuse = nn.SequentialCell(conv(sum(widths[1:]), n_feats, 1), conv(n_feats, n_feats))
        self.upsampler = upsampler_to_picture(scale, n_feats, self.n_colors)
        self.halves = halves(blocks)
        if self.halves:
            self.pad = PadToEven()
            self.crop = CropLike(scale)

    @classmethod
    def ends(cls, scale: int) -> tuple[str, str]:
        """Return the names of the first and the last convolution."""
        return "head", last_convolution(scale)

    @staticmethod
    def receptive_px(scale: int, blocks: Sequence[str], **_: Any) -> int | None:
        """Return the receptive radius in input pixels, or ``None`` if a block does not define its own."""
        kinds = [BlockKind.parse(name) for name in blocks]
        rules = [getattr(BLOCKS.get(kind.type), "receptive_px", None) for kind in kinds]
        known = [rule(n_convs=kind.n_convs) for rule, kind in zip(rules, kinds, strict=True) if rule]
        if len(known) < len(kinds):
            return None
        of_upsampler = 1 if scale == 1 else 2
        return 2 + sum(known) + 1 + of_upsampler  # first convolutions, blocks, fusion, upsampler

    @staticmethod
    def size_multiple(blocks: Sequence[str], **_: Any) -> int:
        """Return 2 if a block works at half the size, since tiles must then start at even pixels; else 1."""
        return 2 if halves(blocks) else 1

    def construct(self, lq: Tensor) -> Tensor:
        """Map NCHW RGB in [0, 255] to ``scale`` times the height and width; the output is not clipped."""
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
