"""The ×8 geometric self-ensemble (EDSR section 3.4) for any model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from srtrain.arrays import Float32


class SelfEnsemble:
    """Upscales the eight orientations of a picture, turns the outputs back and returns their mean.

    Args:
        upscale: a model as a function of float32 NCHW RGB in [0, 255]. The mean is taken before clipping and
            rounding.
    """

    def __init__(self, upscale: Callable[[Float32], Float32]) -> None:
        self.upscale = upscale

    def __call__(self, lq: Float32) -> Float32:
        """Return the mean of the eight outputs, float32 NCHW."""
        total: Float32 | None = None
        for mirrored in (False, True):
            for turns in range(4):
                seen = np.rot90(lq[..., ::-1] if mirrored else lq, turns, axes=(2, 3))
                out = np.rot90(self.upscale(np.ascontiguousarray(seen)), -turns, axes=(2, 3))
                out = out[..., ::-1] if mirrored else out
                total = out.astype(np.float32) if total is None else total + out
        assert total is not None  # for mypy: the loops always run
        return total / 8
