"""MindIR files through MindSpore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from srtrain.arrays import Float32
from srtrain.device.backend import Backend
from srtrain.errors import CheckpointError
from srtrain.infer.exported import ExportedEngine
from srtrain.infer.mindir_file import read_metadata
from srtrain.infer.mindspore_engine import lack_of_memory_named
from srtrain.registry import ENGINES


@ENGINES.register("mindir")
class MindIrEngine(ExportedEngine):
    """Runs a MindIR file on the device that is set."""

    name = "mindir"
    suffixes = (".mindir",)

    def _open(self, path: Path, threads: int) -> dict[str, Any]:
        about = read_metadata(path)
        if not Backend.started:
            Backend().start("graph", threads)
        try:
            self._cell = nn.GraphCell(ms.load(str(path)))
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(f"{str(path)!r} is no MindIR file that MindSpore can load.") from error
        return about

    def _run(self, lq: Float32) -> Float32:
        with lack_of_memory_named(lq):
            return np.asarray(self._cell(ms.Tensor(lq)).asnumpy())
