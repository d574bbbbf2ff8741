"""The engine for ONNX files: ONNX Runtime, on the CPU, and on CUDA or Ascend if its package was built for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srtrain.device.cores import usable_cores
from srtrain.engines import ENGINES
from srtrain.engines.exported import METADATA_KEY, ExportedEngine, metadata
from srtrain.engines.foreign.form import Array, Declared
from srtrain.errors import CheckpointError, DeviceError, RecipeError, did_you_mean, listing

PROVIDERS = {"cann": "CANNExecutionProvider", "cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
"""In order of preference. ONNX Runtime itself falls back to the next one, without a message."""

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
    # It raises the last one when it names a part of the file that is not UTF-8.
    return (*(getattr(state, name) for name in (*names, "RuntimeException")), UnicodeDecodeError)


@ENGINES.register("onnxruntime")
class OnnxRuntimeEngine(ExportedEngine):
    """Runs an ONNX file.

    Options: ``provider``, one of ``PROVIDERS``, which is then an error instead of a fallback where it does not work;
    ``device_id``, the number of the GPU or card.
    """

    name = "onnxruntime"
    suffixes = (".onnx",)
    package = "onnxruntime"
    install = "pip install 'srtrain[onnx]', or 'srtrain[gpu]' for a GPU"
    takes = ("provider", "device_id")

    def _open(self, path: Path, threads: int, **options: Any) -> dict[str, Any]:
        import onnxruntime

        session = onnxruntime.SessionOptions()
        session.intra_op_num_threads = threads or usable_cores()
        session.inter_op_num_threads = 1
        # From the second run of a size on, a memory pattern would take half as much memory again and save no time.
        session.enable_mem_pattern = False
        session.log_severity_level = 4  # failures are raised, so they need not be logged
        wanted, device_id = options.get("provider"), options.get("device_id")
        providers = _providers(wanted, device_id, onnxruntime.get_available_providers())
        try:
            self._session = onnxruntime.InferenceSession(str(path), session, providers=providers)
            inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
            texts = self._session.get_modelmeta().custom_metadata_map
        except open_failures() as error:
            raise CheckpointError(f"ONNX Runtime cannot run {str(path)!r}: {error}.") from error
        self.runs_on = _device(self._session.get_providers(), wanted, device_id)
        if len(inputs) != 1 or inputs[0].type not in _DTYPES:
            given = ", ".join(f"{i.name}: {i.type} {i.shape}" for i in inputs)
            raise CheckpointError(
                f"{str(path)!r} has the inputs {given}; expected one input of {', '.join(_DTYPES)}."
            )
        self._input, self._output = inputs[0].name, outputs[0].name
        shape = tuple(px if isinstance(px, int) else None for px in inputs[0].shape)
        self.declared = Declared(shape, _DTYPES[inputs[0].type])
        self.batch = shape[0] if shape else None
        return metadata(texts.get(METADATA_KEY, ""), path)

    def _run(self, lq: Array) -> Array:
        try:
            out: Array = self._session.run([self._output], {self._input: lq})[0]
        except open_failures() as error:
            px = " x ".join(map(str, lq.shape))
            if "alloc" in str(error) or "out of memory" in str(error).lower():
                raise MemoryError(f"ONNX Runtime has not enough memory for an input of {px}") from error
            raise CheckpointError(
                f"ONNX Runtime cannot run {str(self.path)!r} on an input of {px}: {error}."
            ) from error
        return out


def _providers(wanted: str | None, device_id: int | None, available: Sequence[str]) -> list[Any]:
    """Return what ONNX Runtime is to try, in order.

    Raises:
        RecipeError: there is no such provider, or a device number for the CPU.
        DeviceError: the installed package does not have it.
    """
    if wanted is not None and wanted not in PROVIDERS:
        raise RecipeError(
            f"--provider {wanted!r} is not one of {listing(PROVIDERS)}.{did_you_mean(wanted, PROVIDERS)}"
        )
    tried = [name for name in PROVIDERS if wanted in (None, name) and PROVIDERS[name] in available]
    on_devices = [name for name in tried if name != "cpu"]
    if wanted not in (None, *tried):
        raise DeviceError(
            f"--provider {wanted}: the installed onnxruntime was not built for it; it has "
            f"{listing(available)}. {_ADVICE[str(wanted)]}"
        )
    if device_id is not None and not on_devices:
        raise DeviceError(
            f"--device-id {device_id}: this onnxruntime computes on the CPU. For a GPU: {_ADVICE['cuda']}"
        )
    chosen = [(PROVIDERS[name], {"device_id": str(device_id or 0)}) for name in on_devices]
    return [*chosen, PROVIDERS["cpu"]]


def _device(running: Sequence[str], wanted: str | None, device_id: int | None) -> str:
    """Return the device that a session computes on.

    Raises:
        DeviceError: ONNX Runtime has fallen back to the CPU, although a device was asked for.
    """
    name = next(name for name, provider in PROVIDERS.items() if provider in running)
    if name == "cpu" and (wanted not in (None, "cpu") or device_id is not None):
        asked = f"--provider {wanted}" if wanted else f"--device-id {device_id}"
        raise DeviceError(
            f"{asked}: ONNX Runtime finds no device that it can use, and would compute on the CPU. nvidia-smi (GPU) or "
            f"npu-smi info (Ascend) lists the devices; the CUDA and cuDNN of this machine must be those that "
            f"onnxruntime-gpu was built for. --provider cpu computes on the CPU."
        )
    return "CPU" if name == "cpu" else f"{name.upper()}, device {device_id or 0}"


_ADVICE = {
    "cuda": "pip uninstall onnxruntime, then pip install 'srtrain[gpu]'.",
    "cann": "pip uninstall onnxruntime, then install the wheel onnxruntime-cann.",
}
