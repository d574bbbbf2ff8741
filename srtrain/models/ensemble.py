"""Wrappers of networks as functions of RGB: the ×8 self-ensemble, and networks for grey pictures.

Engines and evaluators hand RGB to every network. A network with one channel receives the brightness, and the colour
differences are enlarged by bicubic interpolation. A grey picture, which is three equal channels here, stays grey.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from srtrain.arrays import Float32
from srtrain.data.resize import imresize
from srtrain.metrics.colour import brightness

_NO_COLOUR = 1e-3  # grey levels between the channels of a grey picture, of rounding


class SelfEnsemble:
    """The self-ensemble (EDSR section 3.4): the mean of the outputs for eight orientations of a picture.

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


def channels_of(network: Any) -> int:
    """Return the number of channels that a network reads and returns: its attribute ``n_colors``, or 3."""
    return int(getattr(network, "n_colors", 3))


def luma_of(rgb: Float32) -> Float32:
    """Return the brightness of NCHW RGB as N1HW, in the same range."""
    return brightness(rgb.transpose(0, 2, 3, 1)).astype(np.float32)[:, None]


def in_rgb(run: Callable[[Float32], Float32]) -> Callable[[Float32], Float32]:
    """Return a network of grey pictures, N1HW to N1HW, as a function of RGB, NCHW to NCHW."""

    def upscale(rgb: Float32) -> Float32:
        luma = luma_of(rgb)
        sr = run(luma)
        differences = rgb - luma
        if np.abs(differences).max() < _NO_COLOUR:
            return np.repeat(sr, 3, axis=1)
        scale = sr.shape[2] // rgb.shape[2]
        large = [imresize(np.ascontiguousarray(chw.transpose(1, 2, 0)), scale) for chw in differences]
        return sr + np.stack([hwc.transpose(2, 0, 1) for hwc in large])

    return upscale


def of_channels(run: Callable[[Float32], Float32], n_channels: int) -> Callable[[Float32], Float32]:
    """Return a network with this number of channels as a function of RGB."""
    return in_rgb(run) if n_channels == 1 else run
