"""ncnn: small, and on CPUs the fastest engine here, by Winograd's convolutions in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from srtrain.arrays import Float32
from srtrain.device.cores import usable_cores
from srtrain.engines import ENGINES
from srtrain.engines.exported import ExportedEngine
from srtrain.errors import CheckpointError
from srtrain.models.receptive import size_multiple

_NO_MEMORY = -100


@ENGINES.register("ncnn")
class NcnnEngine(ExportedEngine):
    """Runs a ``.param`` file and the ``.bin`` beside it, a picture at a time.

    A ``.param`` has no place for metadata: it is in the JSON beside the file.
    """

    name = "ncnn"
    suffixes = (".param",)
    package = "ncnn"
    install = "pip install 'srtrain[ncnn]'"

    def _open(self, path: Path, threads: int) -> dict[str, Any]:
        import ncnn

        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise CheckpointError(
                f"{str(path)!r} needs the file {weights.name!r} beside it, which is not there."
            )
        self._net, self._mat = ncnn.Net(), ncnn.Mat
        self._net.opt.num_threads = threads or usable_cores()
        self._net.opt.use_vulkan_compute = False
        for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "int8_inference"):
            setattr(self._net.opt, f"use_{kind}", False)  # on CPUs with AVX-512 FP16 it would not be float32
        if self._net.load_param(str(path)) != 0 or self._net.load_model(str(weights)) != 0:
            raise CheckpointError(f"{str(path)!r} and {weights.name!r} are no ncnn network, or are damaged.")
        inputs, outputs = self._net.input_names(), self._net.output_names()
        if len(inputs) != 1 or len(outputs) != 1:
            raise CheckpointError(
                f"{str(path)!r} has inputs {inputs} and outputs {outputs}; one of each is needed."
            )
        self._input, self._output = inputs[0], outputs[0]
        return _metadata(path.with_name(path.name + ".json"))

    def _run(self, lq: Float32) -> Float32:
        height, width = lq.shape[2:]
        if size_multiple(self.about) == 2:  # as the network does in MindSpore, and in ONNX
            lq = np.pad(lq, ((0, 0), (0, 0), (0, height % 2), (0, width % 2)), "edge")
        sr = np.stack([self._upscale(picture) for picture in lq])
        return sr[..., : height * self.scale, : width * self.scale] if "scale" in self.about else sr

    def _upscale(self, chw: Float32) -> Float32:
        borrowed = np.ascontiguousarray(chw)  # has to live as long as the Mat that points into it
        extractor = self._net.create_extractor()
        # A copy, since ncnn aligns the planes of its own and relies on it.
        extractor.input(self._input, self._mat(borrowed).clone())
        code, out = extractor.extract(self._output)
        if code == _NO_MEMORY:
            raise MemoryError(f"ncnn has no memory for a picture of {chw.shape[1:]} px")
        if code != 0:
            raise CheckpointError(f"ncnn cannot run {str(self.path)!r}: it ended with code {code}.")
        return np.array(out)


def _metadata(file: Path) -> dict[str, Any]:
    """Return what the JSON beside a network says of it; nothing where there is none."""
    if not file.is_file():
        return {}
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))["about"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{str(file)!r} is damaged. Export the network again.") from error
