"""The engine for ONNX files: ONNX Runtime, on the CPU, and on CUDA or Ascend if its package was built for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from srtrain.device.cores import usable_cores
from srtrain.engines import ENGINES
from srtrain.engines.exported import METADATA_KEY, ExportedEngine, metadata
from srtrain.engines.foreign.form import Array, Declared
from srtrain.errors import CheckpointError

PROVIDERS = ("CANNExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
"""In order of preference. ONNX Runtime itself falls back to the next one."""

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}


def open_failures() -> tuple[type[Exception], ...]:
    """Return the exceptions that ONNX Runtime raises for a file that it cannot run."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
    return tuple(getattr(state, name) for name in (*names, "RuntimeException"))


@ENGINES.register("onnxruntime")
class OnnxRuntimeEngine(ExportedEngine):
    """Runs an ONNX file."""

    name = "onnxruntime"
    suffixes = (".onnx",)
    package = "onnxruntime"
    install = "pip install 'srtrain[onnx]'"

    def _open(self, path: Path, threads: int) -> dict[str, Any]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        # From the second run of a size on, a memory pattern would take half as much memory again and save no time.
        options.enable_mem_pattern = False
        options.log_severity_level = 4  # failures are raised, so they need not be logged
        available = onnxruntime.get_available_providers()
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=[name for name in PROVIDERS if name in available]
            )
        except open_failures() as error:
            raise CheckpointError(f"ONNX Runtime cannot run {str(path)!r}: {error}.") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or inputs[0].type not in _DTYPES:
            given = ", ".join(f"{i.name}: {i.type} {i.shape}" for i in inputs)
            raise CheckpointError(
                f"{str(path)!r} has the inputs {given}; expected one input of {', '.join(_DTYPES)}."
            )
        self._input, self._output = inputs[0].name, outputs[0].name
        shape = tuple(px if isinstance(px, int) else None for px in inputs[0].shape)
        self.declared = Declared(shape, _DTYPES[inputs[0].type])
        self.batch = shape[0] if shape else None
        texts = self._session.get_modelmeta().custom_metadata_map
        return metadata(texts.get(METADATA_KEY, ""), path)

    def _run(self, lq: Array) -> Array:
        try:
            out: Array = self._session.run([self._output], {self._input: lq})[0]
        except open_failures() as error:
            px = " x ".join(map(str, lq.shape))
            if "alloc" in str(error):
                raise MemoryError(f"ONNX Runtime has not enough memory for an input of {px}") from error
            raise CheckpointError(
                f"ONNX Runtime cannot run {str(self.path)!r} on an input of {px}: {error}."
            ) from error
        return out
