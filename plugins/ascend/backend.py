"""The Ascend device. ``srtrain launch`` or ``msrun`` starts the processes."""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import mindspore as ms
import mindspore.dataset as ds
from mindspore import amp, nn
from mindspore.device_context import ascend
from mindspore.ops.operations.math_ops import NPUClearFloatStatusV2, NPUGetFloatStatusV2

from srtrain.device import BACKENDS
from srtrain.device.backend import Backend, group_size
from srtrain.device.finite import FiniteCheck, RegisterCheck
from srtrain.errors import RecipeError, did_you_mean, listing

JIT_LEVELS = ("O0", "O1", "O2")
OVERFLOW_MODES = ("", "INFNAN_MODE", "SATURATION_MODE")
PRECISION_MODES = (
    "",
    "must_keep_origin_dtype",
    "allow_fp32_to_fp16",
    "allow_fp32_to_bf16",
    "allow_mix_precision",
    "allow_mix_precision_fp16",
    "allow_mix_precision_bf16",
    "force_fp16",
    "force_fp32",
)
HCCL_VARIABLE, HCCL_SECONDS = "HCCL_EXEC_TIMEOUT", 1800


@BACKENDS.register("ascend")
class AscendBackend(Backend):
    """One Ascend NPU for each process; MindSpore connects the processes with HCCL.

    Args:
        id: number of the card; by default the one that the launcher chose, or 0.
        jit_level: how MindSpore compiles a graph: ``O0`` operator by operator, ``O1`` with fused operators, ``O2`` as a
            whole by CANN's graph engine, which takes no pictures of varying sizes. MindSpore's own choice depends on
            the card and the version, so it is always set.
        precision_mode: whether CANN may replace float32 by itself; empty leaves the choice to CANN.
        hf32: let float32 convolutions round their inputs to 19 bits, which is faster.
        deterministic: compute the same bits each time. An exact resume needs this; some operators are slower with it.
        overflow_mode: result of an overflow: ``INFNAN_MODE`` (infinity) or ``SATURATION_MODE`` (the largest number, and
            a mark in a register); empty uses the default of the card. The finite check of the update follows it. An
            Ascend 910 of the first generation always saturates.
        group_mb: size in MB of the messages in which gradients are averaged over the cards. A message is sent while the
            card computes the gradients of earlier layers; 0 sends one message after the backward pass.
        bind_cores: bind the threads of each process to cores near its card.
    """

    target = "Ascend"

    def __init__(
        self,
        id: int | None = None,
        jit_level: str = "O0",
        precision_mode: str = "",
        hf32: bool = False,
        deterministic: bool = True,
        overflow_mode: str = "",
        group_mb: float = 25.0,
        bind_cores: bool = False,
    ) -> None:
        super().__init__(kernels="plain", group_mb=group_mb)  # the other kernels are for CPUs
        if id is not None and id < 0:
            raise RecipeError(f"device.id = {id!r} must be 0 or more; npu-smi info lists the cards.")
        self.id = id
        self.jit_level = one_of("jit_level", jit_level, JIT_LEVELS)
        self.precision_mode = one_of("precision_mode", precision_mode, PRECISION_MODES)
        self.hf32 = hf32
        self.deterministic = deterministic
        self.overflow_mode = one_of("overflow_mode", overflow_mode, OVERFLOW_MODES)
        self.bind_cores = bind_cores

    def unavailable(self) -> str:
        """Return why there is no usable NPU, or an empty string."""
        if not ascend.is_available():
            return (
                "MindSpore finds no Ascend NPU. Install the CANN toolkit and driver, and source Ascend's set_env.sh; "
                "npu-smi info lists the cards. To run on this machine, use --device cpu."
            )
        return ""

    def claim(self) -> None:
        """Claim the card.

        Raises:
            RecipeError: several processes were started, and all would use one card.
        """
        if self.id is not None and group_size() > 1:
            raise RecipeError(
                f"device.id = {self.id} would give all {group_size()} processes the same card. Leave it out: each "
                f"process takes a card of its own. ASCEND_RT_VISIBLE_DEVICES chooses which cards are used."
            )
        ms.set_device("Ascend", int(os.environ.get("DEVICE_ID", 0)) if self.id is None else self.id)

    def set_threads(self, threads: int) -> None:
        """Do nothing, because kernels run on the device."""

    def set_options(self) -> None:
        """Set how MindSpore and CANN compile and compute."""
        if self.overflow_mode:
            os.environ["MS_ASCEND_CHECK_OVERFLOW_MODE"] = self.overflow_mode
        ms.set_context(jit_config={"jit_level": self.jit_level})
        if self.precision_mode:
            ascend.op_precision.precision_mode(self.precision_mode)
        ascend.op_precision.conv_allow_hf32(self.hf32)
        ascend.op_precision.matmul_allow_hf32(self.hf32)
        ms.set_deterministic(self.deterministic)
        if self.bind_cores:
            ms.runtime.set_cpu_affinity(True)

    def collective_timeout(self) -> tuple[str, float]:
        """Return HCCL's limit and its variable; 0 means no limit."""
        seconds = float(os.environ.get(HCCL_VARIABLE, HCCL_SECONDS))
        return HCCL_VARIABLE, seconds or math.inf

    def why_fixed_sizes(self) -> str:
        """Return why a compiled network takes pictures of one size only, or an empty string."""
        if self.jit_level == "O2":
            return (
                "device.jit_level = 'O2' compiles a network for pictures of one size only. Use O0 or O1, or train "
                "without this hook and run 'srtrain evaluate' on the checkpoints."
            )
        return ""

    def finite_check(self) -> FiniteCheck:
        """Return a check of the register where the card saturates, as ``amp.all_finite`` decides it."""
        mode = os.environ.get("MS_ASCEND_CHECK_OVERFLOW_MODE", "")
        if amp._ascend_910a_target() or (amp._ascend_910b_target() and mode == "SATURATION_MODE"):
            return RegisterCheck(NPUGetFloatStatusV2(), NPUClearFloatStatusV2())
        return FiniteCheck()

    def why_no_sink(self) -> str:
        """Return an empty string, because the device has a queue."""
        return ""

    def sink(self, update: nn.Cell, batches: ds.Dataset, n_steps: int) -> Callable[[], ms.Tensor]:
        """Return a function that runs ``n_steps`` updates on batches from the device's queue.

        It is a loop on the host, which starts each update and waits for none.
        """
        run: Callable[[], ms.Tensor] = ms.data_sink(update, batches, sink_size=n_steps)
        return run

    def peak_memory_bytes(self) -> int:
        """Return the peak of this process's device memory so far."""
        return int(ms.runtime.max_memory_allocated())


def one_of(key: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return ``value`` if it is allowed for ``device.<key>``.

    Raises:
        RecipeError: it is not allowed.
    """
    if value not in allowed:
        raise RecipeError(
            f"device.{key} = {value!r} is not one of {listing(map(repr, allowed))}.{did_you_mean(value, allowed)}"
        )
    return value
