"""Which convolutions the network is trained with."""

from __future__ import annotations

from mindspore import nn

from srtrain.device.backend import Backend
from srtrain.device.precision import Precision
from srtrain.errors import DeviceError
from srtrain.kernels.compile import CannotBuildError
from srtrain.kernels.library import load_library
from srtrain.kernels.training import fast_twin
from srtrain.trainer.log import Log


def network_to_train(model: nn.Cell, backend: Backend, log: Log, precision: Precision) -> nn.Cell:
    """Return the network that an update differentiates: the model itself, or its twin with the library's convolutions.

    Raises:
        DeviceError: ``device.kernels`` names a method, and the library cannot be built here.
    """
    if backend.kernels == "plain":
        return model
    if type(precision) is not Precision:
        log.info(
            "kernels: MindSpore's own, because the library computes in float32 and the precision is another"
        )
        return model
    method = "f43" if backend.kernels == "auto" else backend.kernels
    try:
        network, n_fast = fast_twin(model, method, backend.threads)
    except CannotBuildError as error:
        if backend.kernels == "auto":
            log.info(f"kernels: MindSpore's own, because {error}")
            return model
        raise DeviceError(f"device.kernels = {backend.kernels!r} cannot be used here: {error}.") from error
    log.info(f"kernels: {method} ({load_library().instructions}) for {n_fast} convolutions")
    return network
