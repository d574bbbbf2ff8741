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
from srtrain.engines.mindspore import memory_errors
from srtrain.errors import CheckpointError, DeviceError, RecipeError, first_line


@ENGINES.register("mindspore_lite")
class MindSporeLiteEngine(ExportedEngine):
    """Runs a MindIR file on an Ascend card, or on the CPU if there is none.

    Options: ``device_id``, the number of the card, without which the CPU is used if no card can be; ``config``,
    MindSpore Lite's configuration file, which a card needs for files of any size (``[ge_graph_options]``) and which
    chooses the precision.
    """

    name = "mindspore_lite"
    suffixes = (".mindir",)
    automatic = False
    package = "mindspore_lite"
    install = "install the wheel for this device from https://www.mindspore.cn/lite; PyPI does not have it"
    takes = ("device_id", "config")

    def _open(self, path: Path, threads: int, **options: Any) -> dict[str, Any]:
        about = read_metadata(path)
        device_id, config = options.get("device_id"), options.get("config")
        if config is not None and not Path(config).is_file():
            raise RecipeError(
                f"--engine-config {str(config)!r} is not a file. Give MindSpore Lite's configuration file, or leave "
                f"it out."
            )
        try:
            self._build(path, "ascend", device_id or 0, threads, config)
            self.runs_on = f"Ascend, device {device_id or 0}"
            return about
        except RuntimeError as error:
            ascend = first_line(error)
        if device_id is not None:
            raise DeviceError(
                f"MindSpore Lite cannot run {str(path)!r} on the card --device-id {device_id}: {ascend} "
                f"npu-smi info lists the cards; a file of any size needs --engine-config, or an export with "
                f"--input-px. Without --device-id, the CPU is used if no card can be."
            )
        try:
            self._build(path, "cpu", 0, threads, config)
        except RuntimeError as error:
            raise CheckpointError(
                f"MindSpore Lite cannot open {str(path)!r}; ascend: {ascend} cpu: {first_line(error)}"
            ) from error
        self.runs_on = f"CPU, because Ascend failed: {ascend}"
        return about

    def _build(self, path: Path, target: str, device_id: int, threads: int, config: Any) -> None:
        """Load the file on a device.

        Raises:
            RuntimeError: MindSpore Lite cannot run it there.
        """
        import mindspore_lite

        context = mindspore_lite.Context()
        context.target = [target]
        if target == "ascend":
            context.ascend.device_id = device_id
        else:
            context.cpu.thread_num = threads or usable_cores()
        self._model = mindspore_lite.Model()
        kind = mindspore_lite.ModelType.MINDIR
        self._model.build_from_file(str(path), kind, context, "" if config is None else str(config))
        shape = tuple(side if side > 0 else None for side in self._model.get_inputs()[0].shape)
        self.declared, self.batch = Declared(shape), shape[0]

    def _run(self, lq: Array) -> Array:
        try:
            with memory_errors(lq):
                return self._predict(lq)
        except (RuntimeError, ValueError) as error:
            px = " x ".join(map(str, lq.shape))
            raise CheckpointError(
                f"MindSpore Lite cannot run {str(self.path)!r} on an input of {px}: {error}"
            ) from error

    def _predict(self, lq: Array) -> Array:
        inputs = self._model.get_inputs()
        if list(inputs[0].shape) != list(lq.shape):
            self._model.resize(inputs, [list(lq.shape)])
            inputs = self._model.get_inputs()
        inputs[0].set_data_from_numpy(np.ascontiguousarray(lq))
        return np.asarray(self._model.predict(inputs)[0].get_data_to_numpy())
