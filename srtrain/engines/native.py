"""The project's own kernels for CPUs (srtrain/kernels), without MindSpore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from srtrain.arrays import Float32
from srtrain.device.cores import usable_cores
from srtrain.engines import ENGINES
from srtrain.engines.exported import METADATA_KEY, ExportedEngine, metadata
from srtrain.errors import CheckpointError, DeviceError
from srtrain.kernels.compile import CannotBuildError
from srtrain.kernels.forward import Forward
from srtrain.kernels.library import load_library
from srtrain.kernels.verify import BadProgramError
from srtrain.models.collapse import Kernel

PROGRAM = "program"
"""The tensor of a file that holds the program."""

BORDER = "border."
"""Begins the names of the tensors that correct the sides of a picture, if the end of the network is collapsed."""


def parameter_name(number: int) -> str:
    """Return the name of the tensor of a parameter; names sort by number."""
    return f"parameter_{number:05d}"


def border_name(place: str, part: str) -> str:
    """Return the name of the tensor of a correction at a side or a corner; ``part`` is ``weight`` or ``bias``."""
    return f"{BORDER}{place}.{part}"


@ENGINES.register("native")
class NativeEngine(ExportedEngine):
    """Runs a ``.native`` file on the CPU, one picture at a time."""

    name = "native"
    suffixes = (".native",)

    def _open(self, path: Path, threads: int, **options: Any) -> dict[str, Any]:
        from safetensors import SafetensorError, safe_open

        try:
            self._library = load_library()
        except CannotBuildError as error:
            raise DeviceError(f"the engine 'native' cannot be used: {error}.") from error
        self._threads = threads or usable_cores()
        try:
            with safe_open(str(path), framework="numpy") as file:
                text = (file.metadata() or {}).get(METADATA_KEY, "")
                tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{str(path)!r} is no native file that can be read: {error}.") from error
        about = metadata(text, path)
        if about.get("lanes") != self._library.lanes:
            raise CheckpointError(
                f"{str(path)!r} was written for vectors of {about.get('lanes')} numbers, but this processor has "
                f"vectors of {self._library.lanes}. Export the checkpoint on this machine."
            )
        words = tensors.pop(PROGRAM, None)
        try:
            if words is None:
                raise BadProgramError("there is no program in it")
            border = {
                place: Kernel(
                    tensors.pop(border_name(place, "weight")), tensors.pop(border_name(place, "bias"))
                )
                for place in [name.split(".")[1] for name in tensors if name.startswith(BORDER)][::2]
            }
            self._forward = Forward(self._library, words, list(tensors.values()), border)
        except (BadProgramError, KeyError) as error:
            raise CheckpointError(f"{str(path)!r} is damaged: {error}.") from error
        return about

    def _run(self, lq: Float32) -> Float32:
        self._library.set_threads(self._threads)
        return self._forward(lq)
