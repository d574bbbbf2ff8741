"""The engine for checkpoints and for weights of other frameworks: MindSpore."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from srtrain.arrays import Float32
from srtrain.engines import ENGINES
from srtrain.engines.engine import Engine

# MindSpore's own text, and oneDNN's when it cannot allocate the buffers of a convolution. (oneDNN reports a convolution
# that it does not support when it creates the descriptor.)
_OUT_OF_MEMORY = re.compile(r"Memory not enough|could not create a primitive(?! descriptor)")


@ENGINES.register("mindspore")
class MindSporeEngine(Engine):
    """Runs a checkpoint on MindSpore's current device, as one graph that is compiled once for all sizes."""

    name = "mindspore"
    suffixes = (".ckpt", ".pt", ".pth", ".npz", ".safetensors")
    reads_folders = True

    def __init__(self, path: Path, threads: int = 0) -> None:
        from srtrain.device.backend import Backend  # these import MindSpore, which takes seconds
        from srtrain.models.upscale import Upscaler
        from srtrain.weights.read import build_model, read_weights

        if not Backend.started:
            Backend().start("graph", threads)
        weights = read_weights(path)
        self.path = path
        self.about = weights.about
        self.model = build_model(weights)
        self.scale = int(weights.about["scale"])
        self._upscale = Upscaler(self.model)

    def __call__(self, lq: Float32) -> Float32:
        """Upscale a batch of pictures of one size."""
        with memory_errors(lq):
            return self._upscale(lq)


@contextmanager
def memory_errors(lq: Float32) -> Iterator[None]:
    """Turn the RuntimeError that MindSpore raises when memory runs out into a MemoryError."""
    try:
        yield
    except RuntimeError as error:
        if _OUT_OF_MEMORY.search(str(error)):
            raise MemoryError(
                f"MindSpore has not enough memory for a picture of {lq.shape[2:]} px"
            ) from error
        raise
