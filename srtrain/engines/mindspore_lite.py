"""The engine for MindIR files on Ascend 310 cards: MindSpore Lite.

MindSpore Lite has a separate wheel for each device. This module does not need MindSpore itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from srtrain.device.cores import usable_cores
from srtrain.engines import ENGINES
from srtrain.engines.exported import ExportedEngine
from srtrain.engines.foreign.form import Array, Declared
from srtrain.engines.mindir_file import read_metadata
from srtrain.errors import CheckpointError


@ENGINES.register("mindspore_lite")
class MindSporeLiteEngine(ExportedEngine):
    """Runs a MindIR file on an Ascend card, or on the CPU if there is none."""

    name = "mindspore_lite"
    suffixes = (".mindir",)
    automatic = False
    package = "mindspore_lite"
    install = "install the wheel for this device from https://www.mindspore.cn/lite; PyPI does not have it"

    def _open(self, path: Path, threads: int) -> dict[str, Any]:
        import mindspore_lite

        about = read_metadata(path)
        failures = []
        for target in ("ascend", "cpu"):
            context = mindspore_lite.Context()
            context.target = [target]
            context.cpu.thread_num = threads or usable_cores()
            self._model = mindspore_lite.Model()
            try:
                self._model.build_from_file(str(path), mindspore_lite.ModelType.MINDIR, context)
            except RuntimeError as error:
                failures.append(f"{target}: {error}")
                continue
            shape = tuple(side if side > 0 else None for side in self._model.get_inputs()[0].shape)
            self.declared, self.batch = Declared(shape), shape[0]
            return about
        raise CheckpointError(f"MindSpore Lite cannot open {str(path)!r}; {'; '.join(failures)}.")

    def _run(self, lq: Array) -> Array:
        try:
            inputs = self._model.get_inputs()
            if list(inputs[0].shape) != list(lq.shape):
                self._model.resize(inputs, [list(lq.shape)])
                inputs = self._model.get_inputs()
            inputs[0].set_data_from_numpy(np.ascontiguousarray(lq))
            return np.asarray(self._model.predict(inputs)[0].get_data_to_numpy())
        except (RuntimeError, ValueError) as error:
            px = " x ".join(map(str, lq.shape))
            raise CheckpointError(
                f"MindSpore Lite cannot run {str(self.path)!r} on an input of {px}: {error}"
            ) from error
