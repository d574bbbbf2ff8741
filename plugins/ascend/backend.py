"""The Ascend device. Processes are started by ``msrun``, or by a rank table as older clusters do."""

from __future__ import annotations

import mindspore as ms

from srtrain.registry import BACKENDS
from srtrain.trainer.backend import Backend


@BACKENDS.register("ascend")
class AscendBackend(Backend):
    """An Ascend NPU a process; HCCL joins them, chosen by MindSpore from the device."""

    target = "Ascend"

    def unavailable(self) -> str:
        """Return why there is no NPU to use."""
        if not ms.hal.is_available(self.target):
            return (
                "MindSpore finds no Ascend NPU. It needs the CANN toolkit and driver (source "
                "Ascend's set_env.sh first; npu-smi info lists the cards). On this machine use --device cpu."
            )
        return ""

    def set_threads(self, threads: int) -> None:
        """Leave the host's threads as they are: kernels run on the device."""

    def peak_memory_bytes(self) -> int:
        """Return the most device memory this process has held so far."""
        return int(ms.hal.max_memory_allocated(self.target))
