"""The Python interface for inference.

import srtrain

model = srtrain.load("edsr_x2.onnx")
sr = model.upscale(picture)    # NumPy arrays, height × width × RGB; sr is model.scale times larger
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
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
from srtrain.weights.network import SCALES, Network

DEFAULT_MEMORY = "1.5GB"

_NONE: Mapping[str, Any] = MappingProxyType({})

# The value that corresponds to the 255 of the network, by dtype.
_PEAKS = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0, "float64": 1.0}
_CHANNELS = {1: 1, 2: 1, 3: 3, 4: 3}  # all channels: channels without alpha, which is the last one

_BAND_PX = 64  # rows of the output that are rounded at a time, because rounding makes several copies

Pixels = NDArray[Any]


class Model:
    """A network that upscales pictures of all kinds and sizes.

    Args:
        engine: runs the network.
        memory: memory limit of the whole process, such as ``1.5GB``. Pictures that need more are cut into tiles.
        tile_px: side of the tiles; by default it follows from the memory.
        overlap_px: overlap of the tiles; by default the receptive radius of the network, which leaves no seams.
        self_ensemble: take the mean over the eight orientations of the picture. This takes eight times as long and
            gains
            about 0.1 to 0.2 dB.
        say: receives notes for the user, such as that memory ran out.

    Attributes:
        scale: factor by which height and width grow.
        about: the metadata of the file: ``model``, ``model_args``, ``scale``, ….
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

    def upscale(self, picture: Pixels, notes: bool = True) -> Pixels:
        """Return the picture with ``scale`` times the height and width; dtype and channels stay the same.

        Args:
            picture: uint8 or uint16 over their whole range, or float32 or float64 in [0, 1]. HW is grey; HWC has 1
                (grey),
                2 (grey and alpha), 3 (RGB) or 4 channels (RGBA). Grey goes through the network as three equal
                channels, and the output is their mean. Alpha is enlarged by bicubic interpolation; the colours of
                fully transparent pixels are first replaced by the nearest visible ones.
            notes: whether to measure and tell what the overlap of tiles changes; for a video, one frame is enough.

        Raises:
            DataError: the array has another dtype, shape or range.
            SrtrainError: the output of the network is not finite, or memory runs out even with the smallest tiles.
        """
        peak = _check(picture)
        if picture.ndim == 2:
            return self.upscale(picture[..., None], notes)[..., 0]
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

        # The caller also holds the encoded input and output, and a copy of the output for Pillow or OpenCV.
        held_bytes = 2 * picture.nbytes + round(2.5 * sr.nbytes)
        for place, tile in self.tiled.tiles(height, width, read, held_bytes, notes):
            if not np.isfinite(tile).all():
                raise SrtrainError(
                    f"the network in {str(self.tiled.path)!r} returned values that are not finite numbers: its weights "
                    f"have diverged or are damaged, or 16-bit arithmetic overflows. Use another checkpoint, or float32."
                )
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
    value_range: str | None = None,
    options: Mapping[str, Any] = _NONE,
    scale: int | None = None,
    model: str = "",
    model_args: Mapping[str, Any] = _NONE,
) -> Model:
    """Open a network for `Model.upscale`.

    Args:
        path: a run folder, a checkpoint, a file of weights, an exported model, or the name of a built-in model such as
            ``edsr_small_x2``.
        engine: name of the engine; ``auto`` chooses one for the file.
        threads: number of cores to use; 0 uses all.
        memory: see `Model`, also for the arguments after it.
        value_range: see `open_engine`; for exported files of other software whose range cannot be measured.
        options: further options of the engine, such as ``device_id``.
        scale: the scale of a network for several scales, such as MDSR; by default the one in its recipe. With
            ``model``, the scale of that network.
        model: the network that a file of weights of another framework is for; ``value_range`` is then ``0-1`` or
            ``0-255``.
        model_args: its arguments; the others have their default values.

    Raises:
        CheckpointError: the file is missing, damaged, or not for this engine.
        RecipeError: the memory, the tile or the overlap is not possible.
    """
    parse_bytes(memory)  # check it before opening takes seconds
    network = None
    if model:
        network = Network(model, model_args, SCALES if scale is None else (scale,), value_range)
        value_range = scale = None
    opened = open_engine(path, engine, threads, value_range, options, scale, network)
    return Model(opened, memory, tile_px, overlap_px, self_ensemble, say)


def _check(picture: Pixels) -> float:
    """Check a picture, and return the value of white.

    Raises:
        DataError: the array has a dtype, a shape or values that are not supported.
    """
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.dtype.name not in _PEAKS or picture.ndim not in (2, 3) or channels not in _CHANNELS:
        raise DataError(
            f"an array of {picture.dtype} and shape {picture.shape} cannot be upscaled. Give uint8, uint16, float32 or "
            f"float64; height × width, or height × width × channels with 1 to 4 channels."
        )
    if picture.size == 0:
        raise DataError(f"a picture of shape {picture.shape} has no pixels.")
    if picture.dtype.kind == "f":
        low, high = float(picture.min()), float(picture.max())
        if not (low >= 0 and high <= 1):  # written like this, NaN is refused too
            raise DataError(
                f"a {picture.dtype} picture has values from {low:g} to {high:g}, but floating point must be in [0, 1]. "
                f"Divide it by its value of white, such as 255, or convert it to uint8."
            )
    return _PEAKS[picture.dtype.name]


def _stored(colours: Float32, dtype: np.dtype[Any], peak: float) -> Pixels:
    """Convert an output in [0, 255] to the range of a dtype: clipped, and rounded for integers."""
    if dtype == np.uint8:
        return quantise(colours)  # as in evaluation
    values = np.clip(colours.astype(np.float64) * (peak / 255), 0, peak)
    return np.rint(values) if dtype.kind == "u" else values
