"""EDSR: Enhanced Deep Residual Networks (Lim et al., CVPR workshops 2017)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from mindspore import Tensor, nn

from srtrain.arrays import Float32
from srtrain.models import BLOCKS, MODELS
from srtrain.models.blocks import PictureNetwork, Upsampler, conv


@MODELS.register("edsr", from_run=("scale",))
class EDSR(PictureNetwork):
    """A head, a body of residual blocks with a skip around it, and an upsampler (section 3.2, table 1).

    The defaults are the baseline network. The full network of the paper has ``n_resblocks=32, n_feats=256,
    res_scale=0.1``.

    Args:
        scale: 2, 3 or 4; 1 leaves out the upsampler, for denoising and other tasks that keep the size.
        n_resblocks: number of residual blocks.
        n_feats: channels of every feature map.
        res_scale: factor of each block's residual branch; 0.1 keeps 256 channels stable (section 3.3).
        kernel_px: side of the kernels; odd.
        block: a name from ``BLOCKS``, built with ``n_feats``, ``kernel_px`` and ``res_scale``.
        zoo_normalisation: train head and tail on [0, 1] as MindSpore's model zoo does. The function is the same, with
            the head's weights 255 times as large and the tail's 255 times as small, so an optimizer such as Adam moves
            them differently (docs/from_model_zoo.md). Files and engines always get the usual weights.
    """

    variants: ClassVar[dict[str, dict[str, float]]] = {
        "EDSR-baseline": {"n_resblocks": 16, "n_feats": 64, "res_scale": 1.0},
        "EDSR (full)": {"n_resblocks": 32, "n_feats": 256, "res_scale": 0.1},
    }
    """The networks of the paper by name, with their arguments (table 1)."""

    scale_dependent = ("upsampler.",)
    """Prefixes of Parameters that depend on the scale. Without a rule below they keep their initial values."""

    scale_transfers: ClassVar[dict[tuple[int, int], dict[str, str]]] = {
        (2, 3): {},
        (2, 4): {"upsampler.0.": "upsampler.0.", "upsampler.2.": "upsampler.0."},
        (3, 2): {},
        (3, 4): {},
        (4, 2): {"upsampler.0.": "upsampler.0."},
        (4, 3): {},
    }
    """Prefixes of the network and the prefixes in the file they are loaded from, by (scale of file, scale of network).

    Each stage of the x4 upsampler does the same work as the one stage of x2. Loading both from x2 put a fine-tuned
    network 2.4 dB ahead of training from scratch after 120 small updates. x3 shares no stage with the other scales.
    """

    linear_end = ("upsampler", "tail", "add_mean")
    """The cells that ``construct`` applies last, one after the other. Exports collapse them into one convolution."""

    def __init__(
        self,
        scale: int,
        n_resblocks: int = 16,
        n_feats: int = 64,
        res_scale: float = 1.0,
        kernel_px: int = 3,
        block: str = "residual",
        zoo_normalisation: bool = False,
        **pictures: Any,
    ) -> None:
        super().__init__(**_of_zoo(zoo_normalisation, pictures))
        self.head = conv(self.n_colors, n_feats, kernel_px)
        self.body = nn.SequentialCell(
            [
                BLOCKS.build(block, n_feats=n_feats, kernel_px=kernel_px, res_scale=res_scale)
                for _ in range(n_resblocks)
            ]
        )
        self.body_end = conv(n_feats, n_feats, kernel_px)
        self.upsampler = Upsampler(scale, n_feats, kernel_px)
        self.tail = conv(n_feats, self.n_colors, kernel_px)

    @classmethod
    def weight_factors(cls, scale: int, args: Mapping[str, Any]) -> dict[str, Float32]:
        """Return the factors of the usual weights, as in ``PictureNetwork``."""
        return super().weight_factors(scale, _of_zoo(bool(args.get("zoo_normalisation")), args))

    @staticmethod
    def receptive_px(scale: int, n_resblocks: int, kernel_px: int, block: str, **_: Any) -> int | None:
        """Return the receptive radius in input pixels, or ``None`` if the block does not define its own."""
        of_block = getattr(BLOCKS.get(block), "receptive_px", None)
        if of_block is None:
            return None
        of_conv = kernel_px // 2
        radius = of_conv  # of the tail, in output pixels; each stage before it divides by its factor
        for factor in reversed(Upsampler.stages[scale]):
            radius = math.ceil(radius / factor) + of_conv
        return of_conv + n_resblocks * int(of_block(kernel_px=kernel_px)) + of_conv + radius

    def construct(self, lq: Tensor) -> Tensor:
        """Map NCHW RGB in [0, 255] to ``scale`` times the height and width; the output is not clipped."""
        x = self.head(self.subtract_mean(lq))
        x = x + self.body_end(self.body(x))
        return self.add_mean(self.tail(self.upsampler(x)))


def _of_zoo(zoo_normalisation: bool, pictures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the pictures; the model zoo computes on [0, 1]."""
    return {**pictures, "rgb_range": 1.0} if zoo_normalisation else dict(pictures)
