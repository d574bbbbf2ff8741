"""The base class of engines for exported files, and where such files store their metadata."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from srtrain.arrays import Float32
from srtrain.engines.engine import Engine
from srtrain.engines.foreign.examine import examine
from srtrain.engines.foreign.form import Adapter, Array, Declared, Form
from srtrain.engines.foreign.ranges import RANGES
from srtrain.errors import CheckpointError, DataError
from srtrain.files.json_file import Whole, checked, reason_of

METADATA_KEY = "srtrain"
"""Exported files store their metadata as JSON under this key: ONNX in ``metadata_props``, MindIR in ``user_info``."""

_ABOUT = {
    "model?": str,
    "model_args?": dict,
    "scale?": Whole(1, 64),
    "step?": Whole(),
    "recipe_hash?": str,
    "origin?": dict,
    "receptive_px?": (Whole(), None),
    "size_multiple?": Whole(1, 1024),
    "least_px?": Whole(1, 1024),
    "input_px?": ([Whole(1)], None),
    "batch?": (Whole(1), None),
    "precision?": str,
    "linear_end?": str,
    "values?": str,
    "channels?": Whole(1, 3),
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
        if about.get("values", "0-255") not in RANGES:
            raise ValueError(f"'values' is {about['values']!r} instead of one of {', '.join(RANGES)}")
        if about.get("channels", 3) == 2:
            raise ValueError("'channels' is 2 instead of 1 or 3")
    except ValueError as error:
        raise CheckpointError(
            f"the metadata of {str(file)!r} is damaged: {reason_of(error)}. Export the network again."
        ) from error
    return about


class ExportedEngine(Engine):
    """Runs an exported file. A derived class opens the file and runs one batch.

    A file without our metadata was exported by other software. It is then examined (`engines/foreign`), and
    ``about["foreign"]`` says what was found.

    Attributes:
        batch: the only batch size that the file accepts, or ``None`` for any. Other batches are split, and the last
            part
            is filled up.
        declared: what the file says about its input; only needed for files from other software.
    """

    batch: int | None = None
    declared = Declared()

    def __init__(self, path: Path, threads: int = 0, value_range: str | None = None, **options: Any) -> None:
        """Open a file.

        Args:
            path: the file.
            threads: number of cores to use; 0 uses all.
            value_range: range of the values in a file from other software, as in `parse_range`; ``None`` measures it.
            options: those among ``takes`` that were given.
        """
        if not path.is_file():
            raise CheckpointError(
                f"{str(path)!r} is not a file. The engine {self.name!r} reads {', '.join(self.suffixes)} files."
            )
        self.path = path
        self.about = self._open(path, threads, **options)
        self._upscale_batch: Callable[[Float32], Float32] = self._run
        if "scale" in self.about:
            self.input_px = _pair(self.about.get("input_px"))
            self.batch = self.about.get("batch")
            self.scale = int(self.about["scale"])
            values, channels = self.about.get("values", "0-255"), self.about.get("channels", 3)
            if (values, channels) != ("0-255", 3):
                form = Form(n_channels=channels, values_in=values, values_out=values, scale=self.scale)
                self._upscale_batch = Adapter(self._run, form)
        else:
            form = examine(path, self._run, self.declared, self.batch, value_range)
            self._upscale_batch = Adapter(self._run, form)
            self.input_px, self.scale = form.input_px, form.scale
            self.about |= {"scale": form.scale, "size_multiple": form.multiple_px}
            self.about["foreign"] = form.summary("measured" if value_range is None else "as stated")

    @abstractmethod
    def _open(self, path: Path, threads: int, **options: Any) -> dict[str, Any]:
        """Open the file and return its metadata; empty if srtrain did not write the file.

        In the second case, also set ``declared`` and ``batch`` as far as the file says. ``options`` are those among
        ``takes`` that were given.
        """

    @abstractmethod
    def _run(self, lq: Array) -> Array:
        """Run a batch of a size that the file accepts, in the file's own numbers and layout.

        Raises:
            CheckpointError: the network cannot be run on this size.
            MemoryError: the picture is too large for this machine.
        """

    def __call__(self, lq: Float32) -> Float32:
        """Upscale a batch of pictures of one size."""
        if self.input_px and lq.shape[2:] != self.input_px:
            raise DataError(
                f"{str(self.path)!r} accepts only pictures of {_size(self.input_px)} px (height x width), not "
                f"{_size(lq.shape[2:])}. Use tiles of that size, or export it again without --input-px."
            )
        if self.batch in (None, len(lq)):
            return self._checked(self._upscale_batch(lq), lq)
        missing = -len(lq) % self.batch
        filled = np.concatenate([lq, np.repeat(lq[-1:], missing, axis=0)])
        parts = [self._upscale_batch(filled[k : k + self.batch]) for k in range(0, len(filled), self.batch)]
        return self._checked(np.concatenate(parts)[: len(lq)], lq)

    def _checked(self, sr: Float32, lq: Float32) -> Float32:
        """Refuse an output of another size than the scale says."""
        wanted = (*lq.shape[:2], self.scale * lq.shape[2], self.scale * lq.shape[3])
        if sr.shape != wanted:
            known = "was measured" if "foreign" in self.about else "is in its metadata"
            raise CheckpointError(
                f"{str(self.path)!r} returns the shape {sr.shape} instead of {wanted}: the scale {self.scale} {known}, "
                f"and its network does something else. Export the network again."
            )
        return sr


def json_beside(file: Path) -> Path:
    """Return the path of the JSON that is written beside an exported file."""
    return file.with_name(file.name + ".json")


def _pair(value: Any) -> tuple[int, int] | None:
    return None if value is None else (int(value[0]), int(value[1]))


def _size(px: tuple[int, ...]) -> str:
    return " x ".join(map(str, px))
