"""Our own convolutions (srtrain/kernels): a network from its ONNX graph, with bias, ReLU, sums and shuffles fused."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from srtrain.arrays import Float32
from srtrain.device.cores import usable_cores
from srtrain.engines import ENGINES
from srtrain.engines.exported import METADATA_KEY, ExportedEngine, metadata
from srtrain.engines.foreign.form import Declared
from srtrain.engines.native_graph import Affine, Conv, translate
from srtrain.errors import CheckpointError, DeviceError
from srtrain.kernels.compile import CannotBuildError
from srtrain.kernels.library import Convolution, load_library


@ENGINES.register("native")
class NativeEngine(ExportedEngine):
    """Runs an ONNX file on the CPU, one picture at a time.

    It runs networks of 3x3 and 1x1 convolutions, ReLU, sums, constants for each channel, and pixel shuffles.
    """

    name = "native"
    suffixes = (".onnx",)
    automatic = False
    package = "onnx"
    install = "pip install 'srtrain[onnx]'"

    def _open(self, path: Path, threads: int, **options: Any) -> dict[str, Any]:
        import onnx

        try:
            self._library = load_library()
        except CannotBuildError as error:
            raise DeviceError(f"the engine 'native' cannot be used: {error}.") from error
        try:
            model = onnx.load(str(path))
        except Exception as error:  # protobuf raises its own kinds for damaged files
            raise CheckpointError(f"{str(path)!r} is no ONNX file that can be read: {error}.") from error
        self._threads = threads or usable_cores()
        self._program = translate(model)
        self._n_uses = Counter(name for step in self._program.steps for name in step.reads)
        self._convolutions = {
            step.writes: Convolution(self._library, step.weight, step.bias, step.shuffle)
            for step in self._program.steps
            if isinstance(step, Conv)
        }
        self._free: dict[tuple[int, ...], list[Float32]] = defaultdict(list)
        self._size: tuple[int, ...] = ()
        source = next(value for value in model.graph.input if value.name == self._program.source)
        tensor = source.type.tensor_type
        if tensor.elem_type != onnx.TensorProto.FLOAT:
            kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
            raise CheckpointError(
                f"{str(path)!r} has an input of {kind}; the engine 'native' runs FLOAT only."
            )
        self.declared = Declared(tuple(side.dim_value or None for side in tensor.shape.dim))
        texts = {entry.key: entry.value for entry in model.metadata_props}
        return metadata(texts.get(METADATA_KEY, ""), path)

    def _run(self, lq: Float32) -> Float32:
        self._library.set_threads(self._threads)
        if lq.shape[2:] != self._size:
            self._free.clear()  # buffers of another size would only take memory
            self._size = lq.shape[2:]
        return np.stack([self._upscale(picture) for picture in lq])

    def _upscale(self, picture: Float32) -> Float32:
        """Run the steps on one CHW picture. A buffer is used again as soon as nobody reads it any more."""
        left = Counter(self._n_uses)
        height, width = picture.shape[1:]
        x = self._buffer(height, width, self._library.padded(len(picture)))
        self._library.from_nchw(np.ascontiguousarray(picture), x)
        tensors = {self._program.source: x}
        for step in self._program.steps:
            x = tensors[step.reads[0]]
            if isinstance(step, Conv):
                convolution = self._convolutions[step.writes]
                r = convolution.shuffle
                y = self._buffer(x.shape[0] * r, x.shape[1] * r, self._library.padded(convolution.n_out))
                skip = tensors[step.reads[1]] if len(step.reads) > 1 else None
                convolution.run(x, y, step.relu, skip)
            elif isinstance(step, Affine):
                y = self._buffer(*x.shape)
                n_channels = step.constant.size if step.constant.size > 1 else x.shape[2]
                step.apply(x[..., :n_channels], step.constant, out=y[..., :n_channels])
                y[..., n_channels:] = 0
            else:
                y = self._buffer(*x.shape)
                np.add(x, tensors[step.reads[1]], out=y)
            tensors[step.writes] = y
            for name in step.reads:
                left[name] -= 1
                if left[name] == 0:
                    self._give_back(tensors.pop(name))
        result = tensors[self._program.result]
        n_channels = (
            self._convolutions[self._program.result].n_out
            if self._program.result in self._convolutions
            else 3
        )
        sr = np.empty((n_channels, *result.shape[:2]), np.float32)
        self._library.to_nchw(result, sr)
        self._give_back(result)
        return sr

    def _buffer(self, *shape: int) -> Float32:
        free = self._free[shape]
        return free.pop() if free else np.empty(shape, np.float32)

    def _give_back(self, buffer: Float32) -> None:
        self._free[buffer.shape].append(buffer)
