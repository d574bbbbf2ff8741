"""The engine for MindIR files: MindSpore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from srtrain.engines import ENGINES
from srtrain.engines.exported import ExportedEngine
from srtrain.engines.foreign.form import Array, Declared
from srtrain.engines.memory import Memory
from srtrain.engines.mindir_file import read_metadata
from srtrain.engines.mindspore import device_memory, device_name, memory_errors
from srtrain.errors import CheckpointError

_DTYPES = {"FLOAT": "float32", "FLOAT16": "float16", "DOUBLE": "float64", "UINT8": "uint8"}


@ENGINES.register("mindir")
class MindIrEngine(ExportedEngine):
    """Runs a MindIR file on MindSpore's current device."""

    name = "mindir"
    suffixes = (".mindir",)

    def _open(self, path: Path, threads: int, **options: Any) -> dict[str, Any]:
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
        self.runs_on = device_name()
        if not about:
            self.declared = _declared(path)
            self.batch = self.declared.shape[0] if self.declared.shape else None
        return about

    def memory(self) -> Memory:
        """Return the memory of MindSpore's device."""
        return device_memory()

    def _run(self, lq: Array) -> Array:
        try:
            with memory_errors(lq):
                return np.asarray(self._cell(self._tensor(lq)).asnumpy())
        except (RuntimeError, ValueError, TypeError) as error:
            px = " x ".join(map(str, lq.shape))
            raise CheckpointError(
                f"MindSpore cannot run {str(self.path)!r} on an input of {px}: {error}"
            ) from error


def _declared(path: Path) -> Declared:
    """Return what a file of other software says about its only input.

    Raises:
        CheckpointError: there are several inputs, or the input has other numbers than pictures have.
    """
    from mindspore.train.mind_ir_pb2 import ModelProto, TensorProto

    inputs = ModelProto.FromString(path.read_bytes()).graph.input
    tensors = [tensor for value in inputs for tensor in value.tensor]
    dtypes = {getattr(TensorProto, name): dtype for name, dtype in _DTYPES.items()}
    if len(tensors) != 1 or tensors[0].data_type not in dtypes:
        given = ", ".join(
            f"{TensorProto.DataType.Name(tensor.data_type)} {list(tensor.dims)}" for tensor in tensors
        )
        raise CheckpointError(f"{str(path)!r} has the inputs {given}; expected one of {', '.join(_DTYPES)}.")
    shape = tuple(side if side > 0 else None for side in tensors[0].dims)
    return Declared(shape, dtypes[tensors[0].data_type])
