"""MDSR: one network for several scales (Lim et al., CVPR workshops 2017, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from mindspore import Tensor, nn

from srtrain.errors import RecipeError, listing
from srtrain.models import BLOCKS, MODELS
from srtrain.models.blocks import PictureNetwork, ResidualBlock, Upsampler, conv
from srtrain.models.edsr import EDSR

_ENTRY_PX = 5  # kernels of the pre-processing, which reduce the differences between the scales
_N_ENTRY = 2


@MODELS.register("mdsr", from_run=("scale",))
class MDSR(PictureNetwork):
    """A shared head, body and tail; each scale has pre-processing blocks and an upsampler of its own (figure 5).

    The defaults are the paper's network: 8.0 M parameters for the three scales together (table 1).

    Args:
        scale: the scale where none is named: of exports, and of a call with a picture alone.
        scales: the scales that the network has branches for, out of 2, 3 and 4.
        n_resblocks: number of residual blocks in the body.
        n_feats: channels of every feature map.
        res_scale: factor of each block's residual branch.
        kernel_px: side of the kernels outside of the pre-processing; odd.
        block: a name from ``BLOCKS`` for the body, built with ``n_feats``, ``kernel_px`` and ``res_scale``.

    Raises:
        RecipeError: ``scale`` is not among ``scales``, or a scale is not supported.
    """

    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "MDSR-baseline": {"n_resblocks": 16, "n_feats": 64, "scales": (2, 3, 4)},
        "MDSR": {"n_resblocks": 80, "n_feats": 64, "scales": (2, 3, 4)},
    }
    """The networks of the paper by name, with their arguments (table 1)."""

    def __init__(
        self,
        scale: int,
        scales: Sequence[int] = (2, 3, 4),
        n_resblocks: int = 80,
        n_feats: int = 64,
        res_scale: float = 1.0,
        kernel_px: int = 3,
        block: str = "residual",
        **pictures: Any,
    ) -> None:
        super().__init__(**pictures)
        if scale not in scales:
            raise RecipeError(f"scale = {scale!r} is not one of model.scales: {listing(map(str, scales))}.")
        self.scale, self.scales = scale, tuple(scales)
        self.head = conv(self.n_colors, n_feats, kernel_px)
        self.enters = nn.CellList(
            [
                nn.SequentialCell([ResidualBlock(n_feats, _ENTRY_PX) for _ in range(_N_ENTRY)])
                for _ in self.scales
            ]
        )
        self.body = nn.SequentialCell(
            [
                BLOCKS.build(block, n_feats=n_feats, kernel_px=kernel_px, res_scale=res_scale)
                for _ in range(n_resblocks)
            ]
        )
        self.body_end = conv(n_feats, n_feats, kernel_px)
        self.upsamplers = nn.CellList([Upsampler(one, n_feats, kernel_px) for one in self.scales])
        self.tail = conv(n_feats, self.n_colors, kernel_px)

    @staticmethod
    def receptive_px(scale: int, n_resblocks: int, kernel_px: int, block: str, **_: Any) -> int | None:
        """Return the receptive radius in input pixels, or ``None`` if the block does not define its own."""
        of_edsr = EDSR.receptive_px(scale, n_resblocks, kernel_px, block)
        return None if of_edsr is None else of_edsr + _N_ENTRY * ResidualBlock.receptive_px(_ENTRY_PX)

    def construct(self, lq: Tensor, scale: int = 0) -> Tensor:
        """Map NCHW RGB in [0, 255] to ``scale`` times the height and width; the output is not clipped.

        The scale is a constant of the compiled graph, so each scale has a graph of its own. 0 means the one that the
        network was built with.
        """
        wanted = scale if scale else self.scale
        x = self.head(self.subtract_mean(lq))
        for k in range(len(self.scales)):
            if self.scales[k] == wanted:
                x = self.enters[k](x)
        x = x + self.body_end(self.body(x))
        for k in range(len(self.scales)):
            if self.scales[k] == wanted:
                x = self.upsamplers[k](x)
        return self.add_mean(self.tail(x))
