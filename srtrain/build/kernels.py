"""Which convolutions the network of a training runs on, in its updates and in its evaluations."""

from __future__ import annotations

from mindspore import nn

from srtrain.arrays import Float32
from srtrain.device.backend import Backend
from srtrain.device.precision import Precision
from srtrain.errors import DeviceError
from srtrain.evaluation.evaluator import Upscale
from srtrain.kernels.compile import CannotBuildError
from srtrain.kernels.forms import program_of
from srtrain.kernels.forward import Forward
from srtrain.kernels.library import load_library
from srtrain.kernels.program import CannotTraceError
from srtrain.kernels.training import METHODS, fast_twin
from srtrain.models.ensemble import channels_of, of_channels
from srtrain.models.upscale import Upscaler
from srtrain.trainer.log import Log


def kernels_of(backend: Backend) -> str:
    """Return the kernels of this machine in words: the method, the instructions and the build of the library."""
    if backend.kernels == "plain":
        return "plain"
    try:
        library = load_library()
    except CannotBuildError:
        return "plain"
    return f"{_method_of(backend)}, {library.instructions}, {library.file.stem}"


def _method_of(backend: Backend) -> str:
    return "f43" if backend.kernels == "auto" else backend.kernels


def network_to_train(model: nn.Cell, backend: Backend, log: Log, precision: Precision) -> nn.Cell:
    """Return the network that an update differentiates: the model itself, or its twin with the library's convolutions.

    Raises:
        DeviceError: ``device.kernels`` names a method, and the library cannot be built here.
    """
    if backend.kernels == "plain":
        return model
    if hasattr(model, "scales"):
        log.info("kernels: MindSpore's own, because the network has a graph for each of several scales")
        return model
    if type(precision) is not Precision:
        log.info(
            "kernels: MindSpore's own, because the library computes in float32 and the precision is another"
        )
        return model
    method = _method_of(backend)
    try:
        network, n_fast = fast_twin(model, method, backend.threads)
    except CannotBuildError as error:
        if backend.kernels == "auto":
            log.info(f"kernels: MindSpore's own, because {error}")
            return model
        raise DeviceError(f"device.kernels = {backend.kernels!r} cannot be used here: {error}.") from error
    log.info(f"kernels: {method} ({load_library().instructions}) for {n_fast} convolutions")
    return network


def upscaler(model: nn.Cell, backend: Backend) -> Upscale:
    """Return a function that runs the network with its present weights, by the library if that can run all of it."""
    if backend.kernels == "plain":
        return Upscaler(model)
    try:
        program = program_of(model, METHODS[_method_of(backend)])
    except (CannotBuildError, CannotTraceError):
        return Upscaler(model)
    library, words = program.library, program.for_inference().encode()

    def upscale(lq: Float32) -> Float32:
        library.set_threads(backend.threads)
        # A new one for each picture: the transformed filters are four times the weights, and updates need the memory.
        return Forward(library, words, program.values())(lq)

    return of_channels(upscale, channels_of(model))
