"""The engine for checkpoints and for weights of other frameworks: MindSpore."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from srtrain.arrays import Float32
from srtrain.engines import ENGINES
from srtrain.engines.engine import Engine
from srtrain.engines.memory import Memory
from srtrain.weights.network import Network

# The texts of MindSpore's libraries, its "Out of Memory!!!", the codes of CANN, and oneDNN's text when it cannot
# allocate the buffers of a convolution. (oneDNN reports a convolution that it does not support when it creates the
# descriptor.)
_OUT_OF_MEMORY = re.compile(
    r"memory (?:is)?(?: not|n't) enough|out of memory|alloc\w*\b.*\bmem\w*.* fail|alloc\w*mem\w* fail|fail\w* to alloc|"
    r"\bEL0004\b|\b207001\b|could not create a primitive(?! descriptor)",
    re.IGNORECASE,
)


@ENGINES.register("mindspore")
class MindSporeEngine(Engine):
    """Runs a checkpoint on MindSpore's current device, as one graph that is compiled once for all sizes.

    Args:
        path: a run folder, a checkpoint or a file of weights.
        threads: number of cores to use; 0 uses all.
        scale: the scale of a network for several scales.
        network: the network that a file of weights of another framework is for.
    """

    name = "mindspore"
    suffixes = (".ckpt", ".pt", ".pth", ".npz", ".safetensors")
    reads_folders = True

    def __init__(
        self, path: Path, threads: int = 0, scale: int | None = None, network: Network | None = None
    ) -> None:
        """Open a checkpoint or a file of weights."""
        from srtrain.device.backend import Backend  # these import MindSpore, which takes seconds
        from srtrain.models.upscale import Upscaler
        from srtrain.weights.read import at_scale, build_model, read_weights

        if not Backend.started:
            Backend().start("graph", threads)
        weights = at_scale(read_weights(path, network=network), scale)
        self.path = path
        self.about = weights.about
        self.model = build_model(weights)
        self.scale = int(weights.about["scale"])
        self._upscale = Upscaler(self.model)
        self.runs_on = device_name()

    def memory(self) -> Memory:
        """Return the memory of MindSpore's device."""
        return device_memory()

    def __call__(self, lq: Float32) -> Float32:
        """Upscale a batch of pictures of one size."""
        with memory_errors(lq):
            return self._upscale(lq)


class CardMemory(Memory):
    """The memory of the card that MindSpore computes on."""

    of_host = False

    def reset_peak(self) -> None:
        """Begin to record a new peak."""
        import mindspore as ms

        ms.runtime.reset_peak_memory_stats()

    def held_bytes(self) -> int:
        """Return how much the tensors of this process hold."""
        import mindspore as ms

        return int(ms.runtime.memory_allocated())

    def peak_bytes(self) -> int:
        """Return the recorded peak."""
        import mindspore as ms

        return int(ms.runtime.max_memory_allocated())


def device_memory() -> Memory:
    """Return the memory of MindSpore's current device."""
    import mindspore as ms

    return Memory() if ms.get_context("device_target") == "CPU" else CardMemory()


def device_name() -> str:
    """Return MindSpore's current device, such as ``Ascend, device 0``."""
    import mindspore as ms

    target = str(ms.get_context("device_target"))
    return target if target == "CPU" else f"{target}, device {ms.get_context('device_id')}"


@contextmanager
def memory_errors(lq: Float32) -> Iterator[None]:
    """Turn the RuntimeError that MindSpore or MindSpore Lite raises when memory runs out into a MemoryError."""
    try:
        yield
    except RuntimeError as error:
        if _OUT_OF_MEMORY.search(str(error)):
            raise MemoryError(
                f"MindSpore has not enough memory for a picture of {lq.shape[2:]} px"
            ) from error
        raise
