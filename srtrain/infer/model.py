"""A network from Python, in three lines.

import srtrain

model = srtrain.load("edsr_x2.onnx")
sr = model.upscale(picture)          # a NumPy array, height × width × RGB: the same, model.scale times larger
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srtrain.arrays import Float32
from srtrain.engines.engine import Engine
from srtrain.engines.memory import parse_bytes
from srtrain.engines.tiles import Tiled
from srtrain.errors import DataError, SrtrainError
from srtrain.infer.alpha import enlarge_alpha, fill_hidden
from srtrain.infer.open import open_engine
from srtrain.metrics.protocol import quantise

DEFAULT_MEMORY = "1.5GB"

# What stands for the 255 of the network. Floating point in [0, 1] is scaled, and stays what it is.
_PEAKS = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0, "float64": 1.0}
_CHANNELS = {1: 1, 2: 1, 3: 3, 4: 3}  # of all, how many are grey or RGB; alpha is the last beside them

_BAND_PX = 64  # rows of an output that are rounded at a time: it takes several copies

Pixels = NDArray[Any]


class Model:
    """A network that upscales pictures of every kind and size.

    Args:
        engine: runs the network.
        memory: what the whole process may hold, such as ``1.5GB``; larger pictures are cut into tiles.
        tile_px: side of the tiles, instead of what the memory allows.
        overlap_px: of the tiles; by default as far as the network looks, so that no seam is there.
        self_ensemble: mean over the picture's eight orientations: eight times the work, about 0.1 to 0.2 dB.
        say: is told what a user should know, such as that memory ran out.

    Attributes:
        scale: how many times larger the output is.
        about: what the file says of itself: ``model``, ``model_args``, ``scale``, ….
    """

    def __init__(
        self,
        engine: Engine,
        memory: str = DEFAULT_MEMORY,
        tile_px: int | None = None,
        overlap_px: int | None = None,
        self_ensemble: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.tiled = Tiled(engine, tile_px, overlap_px, parse_bytes(memory), self_ensemble, say)
        self.scale, self.about = engine.scale, engine.about

    def upscale(self, picture: Pixels) -> Pixels:
        """Return the picture ``scale`` times larger, of the same kind.

        Args:
            picture: uint8 or uint16 over their whole range, or float32 or float64 in [0, 1]; HW grey, or HWC with
                1 (grey), 2 (grey and alpha), 3 (RGB) or 4 channels (RGBA). Grey goes through the network as three
                equal channels, of which the mean is kept. Alpha is enlarged by bicubic interpolation, and colours
                that it hides wholly are replaced by the nearest visible ones.

        Raises:
            DataError: an array of another kind.
            SrtrainError: the network's output is not finite, or memory runs out whatever the tiles.
        """
        peak = _check(picture)
        if picture.ndim == 2:
            return self.upscale(picture[..., None])[..., 0]
        height, width, n_channels = picture.shape
        n_colours = _CHANNELS[n_channels]
        colours, alpha = picture[..., :n_colours], picture[..., n_colours:]
        if alpha.size:
            colours = fill_hidden(colours, alpha[..., 0])
        sr = np.empty((height * self.scale, width * self.scale, n_channels), picture.dtype)

        def read(rows: slice, columns: slice) -> Float32:
            part = colours[rows, columns].astype(np.float32) * np.float32(255 / peak)
            rgb = np.broadcast_to(part, (*part.shape[:2], 3))
            return np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])

        # The encoded input and output are held too, and a copy of the output in the layout of Pillow or OpenCV.
        held_bytes = 2 * picture.nbytes + round(2.5 * sr.nbytes)
        for place, tile in self.tiled.tiles(height, width, read, held_bytes):
            rows, columns = place.kept(self.scale)
            part = sr[rows, columns, :n_colours]
            for top in range(0, len(part), _BAND_PX):
                rgb = tile[0, :, top : top + _BAND_PX].transpose(1, 2, 0)
                if n_colours == 1:
                    rgb = rgb.mean(axis=2, keepdims=True)
                part[top : top + _BAND_PX] = _stored(rgb, sr.dtype, peak)
        if alpha.size:
            sr[..., n_colours] = enlarge_alpha(alpha[..., 0], self.scale)
        return sr


def load(
    path: str | Path,
    *,
    engine: str = "auto",
    threads: int = 0,
    memory: str = DEFAULT_MEMORY,
    tile_px: int | None = None,
    overlap_px: int | None = None,
    self_ensemble: bool = False,
    say: Callable[[str], None] | None = None,
) -> Model:
    """Open a network for `Model.upscale`.

    Args:
        path: a run folder, a checkpoint, a file of weights, or an exported model.
        engine: what runs it; ``auto`` goes by the file.
        threads: cores to use; 0 takes all.
        memory: see `Model`, as for the rest.

    Raises:
        CheckpointError: missing, broken, or not for this engine.
        RecipeError: a memory or a tile that is none.
    """
    parse_bytes(memory)  # before seconds are spent on opening
    return Model(open_engine(path, engine, threads), memory, tile_px, overlap_px, self_ensemble, say)


def _check(picture: Pixels) -> float:
    """Return what white is in this picture.

    Raises:
        DataError: an array that is no picture of a kind that is understood.
    """
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.dtype.name not in _PEAKS or picture.ndim not in (2, 3) or channels not in _CHANNELS:
        raise DataError(
            f"{picture.dtype} of shape {picture.shape} is no picture that can be upscaled. Give uint8, uint16, or "
            f"floating point in [0, 1]; height × width, or height × width × channels with 1 to 4 channels."
        )
    if picture.size == 0:
        raise DataError(f"a picture of shape {picture.shape} has no pixels.")
    if picture.dtype.kind == "f":
        low, high = float(picture.min()), float(picture.max())
        if not (low >= 0 and high <= 1):  # as it stands, so that not-a-number is refused too
            raise DataError(
                f"a {picture.dtype} picture has values from {low:g} to {high:g}; floating point is in [0, 1]. Divide "
                f"it by its white, such as 255, or convert it to uint8."
            )
    return _PEAKS[picture.dtype.name]


def _stored(colours: Float32, dtype: np.dtype[Any], peak: float) -> Pixels:
    """Return an output in [0, 255] as values of a picture: clipped, and rounded where they are whole numbers."""
    if dtype == np.uint8:
        return quantise(colours)  # as scores are taken
    if not np.isfinite(colours).all():
        raise SrtrainError(
            "the network's output is not a finite number everywhere; its weights have diverged."
        )
    values = np.clip(colours.astype(np.float64) * (peak / 255), 0, peak)
    return np.rint(values) if dtype.kind == "u" else values
