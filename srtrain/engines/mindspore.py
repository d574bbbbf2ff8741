"""Checkpoints, and others' weights, through MindSpore itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from srtrain.arrays import Float32
from srtrain.engines import ENGINES
from srtrain.engines.engine import Engine


@ENGINES.register("mindspore")
class MindSporeEngine(Engine):
    """Runs a checkpoint as one graph, compiled once for all sizes, on the device that is set."""

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
        with lack_of_memory_named(lq):
            return self._upscale(lq)


@contextmanager
def lack_of_memory_named(lq: Float32) -> Iterator[None]:
    """Raise a MemoryError for what MindSpore calls a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if "Memory not enough" in str(error):
            raise MemoryError(f"MindSpore has no memory for a picture of {lq.shape[2:]} px") from error
        raise
