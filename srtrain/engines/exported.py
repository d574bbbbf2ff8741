"""What the engines of exported files share: what the file says of itself, and fixed sizes."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from srtrain.arrays import Float32
from srtrain.engines.engine import Engine
from srtrain.errors import CheckpointError, DataError

_PROBE_PX = (16, 16)


class ExportedEngine(Engine):
    """Runs an exported file; a derived class opens it and runs a batch.

    A file without our metadata was exported by others: its scale is measured, and ``about["foreign"]`` says so.

    Attributes:
        batch: the only number of pictures at once, or ``None`` for any; calls with another are cut up and filled.
    """

    batch: int | None = None

    def __init__(self, path: Path, threads: int = 0) -> None:
        if not path.is_file():
            raise CheckpointError(f"{str(path)!r} is no file. {self.name} reads {', '.join(self.suffixes)}.")
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
                "foreign": f"the file does not say what it is: its scale was measured on {_size(self._probe_px())} px, "
                f"and RGB in [0, 255] is assumed",
            }

    @abstractmethod
    def _open(self, path: Path, threads: int) -> dict[str, Any]:
        """Open the file, and return its metadata: empty where it has none of ours."""

    @abstractmethod
    def _run(self, lq: Float32) -> Float32:
        """Upscale a batch of a size that the file takes."""

    def __call__(self, lq: Float32) -> Float32:
        """Upscale a batch of pictures of one size."""
        if self.input_px and lq.shape[2:] != self.input_px:
            raise DataError(
                f"{str(self.path)!r} takes pictures of {_size(self.input_px)} px (height x width) alone, not "
                f"{_size(lq.shape[2:])}. Use tiles of that size, or export it again without --input-px."
            )
        if self.batch in (None, len(lq)):
            return self._run(lq)
        missing = -len(lq) % self.batch
        filled = np.concatenate([lq, np.repeat(lq[-1:], missing, axis=0)])
        parts = [self._run(filled[k : k + self.batch]) for k in range(0, len(filled), self.batch)]
        return np.concatenate(parts)[: len(lq)]

    def _probe_px(self) -> tuple[int, int]:
        return self.input_px or _PROBE_PX

    def _measure_scale(self) -> int:
        height, width = self._probe_px()
        out = self(np.full((1, 3, height, width), 127, np.float32))
        factor = out.shape[2] // height if out.ndim == 4 else 0
        if not factor or out.shape != (1, 3, factor * height, factor * width):
            raise CheckpointError(
                f"{str(self.path)!r} makes {out.shape} of {(1, 3, height, width)}, which is no super-resolution of an "
                f"RGB picture."
            )
        return factor


def _pair(value: Any) -> tuple[int, int] | None:
    return None if value is None else (int(value[0]), int(value[1]))


def _size(px: tuple[int, ...]) -> str:
    return " x ".join(map(str, px))
