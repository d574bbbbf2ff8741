"""The engine for ncnn files. On many CPUs it is the fastest engine here: it uses Winograd convolutions in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from srtrain.arrays import Float32
from srtrain.device.cores import usable_cores
from srtrain.engines import ENGINES
from srtrain.engines.exported import ExportedEngine, json_beside, metadata
from srtrain.engines.foreign.form import Declared
from srtrain.errors import CheckpointError
from srtrain.files.json_file import read_json
from srtrain.models.receptive import least_px, size_multiple

_NO_MEMORY = -100


@ENGINES.register("ncnn")
class NcnnEngine(ExportedEngine):
    """Runs a ``.param`` file and the ``.bin`` beside it, one picture at a time.

    A ``.param`` file has no place for metadata, so the metadata is in the JSON beside it.
    """

    name = "ncnn"
    suffixes = (".param",)
    package = "ncnn"
    install = "pip install 'srtrain[ncnn]'"

    def _open(self, path: Path, threads: int, **options: Any) -> dict[str, Any]:
        import ncnn

        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise CheckpointError(
                f"{str(path)!r} needs the file {weights.name!r} beside it, which is missing."
            )
        self._net, self._mat = ncnn.Net(), ncnn.Mat
        self._net.opt.num_threads = threads or usable_cores()
        self._net.opt.use_vulkan_compute = False
        for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "int8_inference"):
            setattr(
                self._net.opt, f"use_{kind}", False
            )  # else CPUs with AVX-512 FP16 would not compute in float32
        if self._net.load_param(str(path)) != 0 or self._net.load_model(str(weights)) != 0:
            raise CheckpointError(
                f"{str(path)!r} and {weights.name!r} are not an ncnn network, or are damaged."
            )
        inputs, outputs = self._net.input_names(), self._net.output_names()
        if len(inputs) != 1 or len(outputs) != 1:
            raise CheckpointError(
                f"{str(path)!r} has inputs {inputs} and outputs {outputs}; exactly one of each is needed."
            )
        self._input, self._output = inputs[0], outputs[0]
        self.declared = Declared((None, _n_channels(path), None, None))
        about = _metadata(json_beside(path))
        if about and about.get("channels", 3) != _n_channels(path):
            raise CheckpointError(
                f"{str(path)!r} reads {_n_channels(path)} channels, but its metadata says {about.get('channels', 3)}. "
                f"Export the network again."
            )
        return about

    def _run(self, lq: Float32) -> Float32:
        height, width = lq.shape[2:]
        # The MindSpore and ONNX networks pad themselves.
        least, multiple = least_px(self.about), size_multiple(self.about)
        missing = [(max(px, least) - px) + (max(px, least) % multiple) for px in (height, width)]
        if any(missing):
            lq = np.pad(lq, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])), "edge")
        sr = np.stack([self._upscale(picture) for picture in lq])
        return sr[..., : height * self.scale, : width * self.scale] if "scale" in self.about else sr

    def _upscale(self, chw: Float32) -> Float32:
        borrowed = np.ascontiguousarray(chw)  # must outlive the Mat that points into it
        extractor = self._net.create_extractor()
        # clone() copies: ncnn aligns the planes of its own memory, and relies on that alignment.
        extractor.input(self._input, self._mat(borrowed).clone())
        code, out = extractor.extract(self._output)
        if code == _NO_MEMORY:
            raise MemoryError(f"ncnn has not enough memory for a picture of {chw.shape[1:]} px")
        if code != 0:
            raise CheckpointError(f"ncnn cannot run {str(self.path)!r}: it returned the code {code}.")
        return np.array(out)


def _metadata(file: Path) -> dict[str, Any]:
    """Return the metadata in the JSON beside a network; empty if there is no such file."""
    if not file.exists():
        return {}
    found = read_json(file, {"about": dict}, remedy="Export the network again.")
    return metadata(json.dumps(found["about"]), file)


def _n_channels(path: Path) -> int:
    """Return the number of channels that a network expects: 1 if its first convolution has one input channel, else 3.

    ncnn does not check it, and would read memory that it does not own.
    """
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if words and words[0] == "Convolution":
            number = {
                key: int(value) for key, _, value in (w.partition("=") for w in words) if value.isdecimal()
            }
            kernel = number.get("1", 1) * number.get("11", number.get("1", 1))
            return 1 if number.get("6") == number.get("0", 0) * kernel else 3
    return 3
