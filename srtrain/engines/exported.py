"""The base class of engines for exported files, and where such files store their metadata."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from srtrain.arrays import Float32
from srtrain.engines.engine import Engine
from srtrain.errors import CheckpointError, DataError
from srtrain.files.json_file import Whole, checked, reason_of

METADATA_KEY = "srtrain"
"""Exported files store their metadata as JSON under this key: ONNX in ``metadata_props``, MindIR in ``user_info``."""

_PROBE_PX = (16, 16)

_ABOUT = {
    "model?": str,
    "model_args?": dict,
    "scale?": Whole(1, 64),
    "step?": Whole(),
    "recipe_hash?": str,
    "origin?": dict,
    "receptive_px?": (Whole(), None),
    "size_multiple?": Whole(1, 1024),
    "input_px?": ([Whole(1)], None),
    "batch?": (Whole(1), None),
    "precision?": str,
}


def metadata(text: str, file: Path) -> dict[str, Any]:
    """Return the metadata of an exported file.

    Args:
        text: JSON, or an empty string if srtrain did not write the file.
        file: the file, for the message.

    Raises:
        CheckpointError: the metadata are damaged.
    """
    try:
        about: dict[str, Any] = checked(text or "{}", _ABOUT)
        if len(about.get("input_px") or (1, 1)) != 2:
            raise ValueError(f"'input_px' is {about['input_px']} instead of a height and a width")
    except ValueError as error:
        raise CheckpointError(
            f"the metadata of {str(file)!r} is damaged: {reason_of(error)}. Export the network again."
        ) from error
    return about


class ExportedEngine(Engine):
    """Runs an exported file. A derived class opens the file and runs one batch.

    A file without our metadata was exported by other software. Its scale is then measured, and ``about["foreign"]``
    says so.

    Attributes:
        batch: the only batch size that the file accepts, or ``None`` for any. Other batches are split, and the last
            part
            is filled up.
    """

    batch: int | None = None

    def __init__(self, path: Path, threads: int = 0) -> None:
        if not path.is_file():
            raise CheckpointError(
                f"{str(path)!r} is not a file. The engine {self.name!r} reads {', '.join(self.suffixes)} files."
            )
        self.path = path
        self.about = self._open(path, threads)
        if "scale" in self.about:
            self.input_px = _pair(self.about.get("input_px"))
            self.batch = self.about.get("batch")
            self.scale = int(self.about["scale"])
        else:
            self.scale = self._measure_scale()
            self.about |= {
                "scale": self.scale,
                "foreign": f"the file has no srtrain metadata: its scale was measured on {_size(self._probe_px())} px, "
                f"and RGB in [0, 255] is assumed",
            }

    @abstractmethod
    def _open(self, path: Path, threads: int) -> dict[str, Any]:
        """Open the file and return its metadata; empty if srtrain did not write the file."""

    @abstractmethod
    def _run(self, lq: Float32) -> Float32:
        """Upscale a batch of a size that the file accepts."""

    def __call__(self, lq: Float32) -> Float32:
        """Upscale a batch of pictures of one size."""
        if self.input_px and lq.shape[2:] != self.input_px:
            raise DataError(
                f"{str(self.path)!r} accepts only pictures of {_size(self.input_px)} px (height x width), not "
                f"{_size(lq.shape[2:])}. Use tiles of that size, or export it again without --input-px."
            )
        if self.batch in (None, len(lq)):
            return self._checked(self._run(lq), lq)
        missing = -len(lq) % self.batch
        filled = np.concatenate([lq, np.repeat(lq[-1:], missing, axis=0)])
        parts = [self._run(filled[k : k + self.batch]) for k in range(0, len(filled), self.batch)]
        return self._checked(np.concatenate(parts)[: len(lq)], lq)

    def _checked(self, sr: Float32, lq: Float32) -> Float32:
        """Refuse an output of another size than the metadata promise."""
        scale = getattr(self, "scale", 0)  # unknown while it is measured
        wanted = (*lq.shape[:2], scale * lq.shape[2], scale * lq.shape[3])
        if scale and sr.shape != wanted:
            raise CheckpointError(
                f"{str(self.path)!r} returns the shape {sr.shape} instead of {wanted}: its metadata say x{scale}, and "
                f"its network does something else. Export the network again."
            )
        return sr

    def _probe_px(self) -> tuple[int, int]:
        return self.input_px or _PROBE_PX

    def _measure_scale(self) -> int:
        height, width = self._probe_px()
        out = self(np.full((1, 3, height, width), 127, np.float32))
        factor = out.shape[2] // height if out.ndim == 4 else 0
        if not factor or out.shape != (1, 3, factor * height, factor * width):
            raise CheckpointError(
                f"{str(self.path)!r} maps an input of shape {(1, 3, height, width)} to {out.shape}. A super-resolution "
                f"network for RGB pictures keeps N and C, and multiplies H and W by the same whole number."
            )
        return factor


def json_beside(file: Path) -> Path:
    """Return the path of the JSON that is written beside an exported file."""
    return file.with_name(file.name + ".json")


def _pair(value: Any) -> tuple[int, int] | None:
    return None if value is None else (int(value[0]), int(value[1]))


def _size(px: tuple[int, ...]) -> str:
    return " x ".join(map(str, px))
