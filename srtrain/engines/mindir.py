"""The engine for MindIR files: MindSpore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from srtrain.arrays import Float32
from srtrain.engines import ENGINES
from srtrain.engines.exported import ExportedEngine
from srtrain.engines.mindir_file import read_metadata
from srtrain.engines.mindspore import memory_errors
from srtrain.errors import CheckpointError


@ENGINES.register("mindir")
class MindIrEngine(ExportedEngine):
    """Runs a MindIR file on MindSpore's current device."""

    name = "mindir"
    suffixes = (".mindir",)

    def _open(self, path: Path, threads: int) -> dict[str, Any]:
        import mindspore as ms  # takes seconds

        from srtrain.device.backend import Backend

        about = read_metadata(path)
        if not Backend.started:
            Backend().start("graph", threads)
        try:
            self._tensor, self._cell = ms.Tensor, ms.nn.GraphCell(ms.load(str(path)))
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"MindSpore cannot load {str(path)!r} as MindIR. Export it again."
            ) from error
        return about

    def _run(self, lq: Float32) -> Float32:
        with memory_errors(lq):
            return np.asarray(self._cell(self._tensor(lq)).asnumpy())
