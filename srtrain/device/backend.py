"""The interface to a kind of device. The base class is the CPU, which is the default."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import psutil
from mindspore import communication, nn, ops
from numpy.typing import NDArray

from srtrain.device import BACKENDS
from srtrain.device.cores import usable_cores
from srtrain.device.finite import FiniteCheck
from srtrain.device.progress import LOCAL_VARIABLE, Progress
from srtrain.errors import DeviceError, RecipeError, counted, did_you_mean, first_line, listing

KERNELS = ("auto", "f43", "f23", "plain")


@BACKENDS.register("cpu")
class Backend:
    """One kind of device, and the group of processes that train on it together.

    A plugin derives from this class and overrides what differs. A process that ``srtrain launch`` started belongs to a
    group; a single process is rank 0 of 1.

    Args:
        kernels: the convolutions of a training on a CPU: ``auto`` for srtrain's Winograd kernels (docs/kernels.md)
            where they can be built, ``f43`` or ``f23`` for one of their methods, ``plain`` for MindSpore's own.
        group_mb: size in MB of the messages in which gradients are averaged over the ranks; 0 sends one message.

    Attributes:
        threads: number of cores that kernels use; known after the backend has started.
        progress: the signs of life of this process, which the launcher watches. Long pieces of work call
            ``progress.beat()``.
    """

    target: str = "CPU"
    started: ClassVar[bool] = False
    """Whether any backend has been started in this process."""
    _threads: ClassVar[int | None] = None

    def __init__(self, kernels: str = "auto", group_mb: float = 0.0) -> None:
        if kernels not in KERNELS:
            raise RecipeError(
                f"device.kernels = {kernels!r}.{did_you_mean(kernels, KERNELS)} Allowed: {listing(KERNELS)}."
            )
        if group_mb < 0:
            raise RecipeError(
                f"device.group_mb = {group_mb!r} must be 0 (one message) or a number of MB above it."
            )
        self.kernels = kernels
        self.group_mb = group_mb
        self.threads = 1
        self.rank = 0
        self.world_size = 1
        self.progress = Progress()

    @classmethod
    def on(cls, target: str) -> Backend:
        """Return a backend for a device by MindSpore's name, without the options of a plugin."""
        backend = cls()
        backend.target = target
        return backend

    def unavailable(self) -> str:
        """Return the reason why this machine cannot run the backend, or an empty string."""
        return ""

    def start(self, mode: str, threads: int) -> None:
        """Claim the device, set graph or PyNative mode, and join the other processes.

        Args:
            mode: ``graph`` or ``pynative``.
            threads: threads for kernels; 0 divides the usable cores among the processes of this machine.

        Raises:
            DeviceError: the machine does not have the device, or the other processes cannot be reached.
        """
        if reason := self.unavailable():
            raise DeviceError(f"device = {self.target.lower()!r} cannot be used here: {reason}")
        Backend.started = True
        self.claim()
        ms.set_context(mode=ms.GRAPH_MODE if mode == "graph" else ms.PYNATIVE_MODE)
        self.threads = threads or max(1, usable_cores() // int(os.environ.get(LOCAL_VARIABLE, "1")))
        self.set_threads(self.threads)
        self.set_options()
        self.progress = Progress.of_this_process()
        if group_size() > 1:
            self.join()

    def claim(self) -> None:
        """Claim the device. MindSpore allows one device in a process."""
        ms.set_device(self.target)

    def join(self) -> None:
        """Join the other processes of the run.

        Raises:
            DeviceError: the other processes cannot be reached.
        """
        try:
            communication.init()
        except (RuntimeError, ValueError) as error:
            raise DeviceError(
                f"this process could not join the other {group_size() - 1} of the run: {first_line(error)} "
                f"Start all of them with 'srtrain launch'. 'srtrain doctor' checks this machine for problems."
            ) from error
        self.rank, self.world_size = communication.get_rank(), communication.get_group_size()

    def set_threads(self, threads: int) -> None:
        """Set the number of threads for kernels. MindSpore allows this once per process.

        Raises:
            DeviceError: an earlier run in this process set another number.
        """
        if Backend._threads is None:
            ms.device_context.cpu.op_tuning.threads_num(threads)
            Backend._threads = threads
        elif Backend._threads != threads:
            raise DeviceError(
                f"train.threads = {threads}: MindSpore already runs on {counted(Backend._threads, 'thread')} in this "
                f"process and cannot change that. Start a new process."
            )

    def set_options(self) -> None:
        """Set options of the device, before the processes join. A CPU has none."""

    def collective_timeout(self) -> tuple[str, float]:
        """Return the variable that limits how long MindSpore waits for other ranks, and its seconds."""
        return "MS_CPU_COMM_OP_TIMEOUT", float(os.environ.get("MS_CPU_COMM_OP_TIMEOUT", "30"))

    def why_fixed_sizes(self) -> str:
        """Return why a compiled network takes pictures of one size only, or an empty string if it takes any."""
        return ""

    def why_no_sink(self) -> str:
        """Return the reason why the device has no queue for batches, or an empty string."""
        return (
            f"device = {self.target.lower()!r} has no queue for batches; an Ascend card has one "
            f"(--plugin ascend device=ascend). Leave it at 1."
        )

    def sink(self, update: nn.Cell, batches: ds.Dataset, n_steps: int) -> Callable[[], ms.Tensor]:
        """Return a function that runs ``n_steps`` updates on batches from a queue on the device.

        It returns the loss of the last one.

        Raises:
            DeviceError: the device has no queue.
        """
        raise DeviceError(self.why_no_sink())

    def gradient_reducer(self, parameters: list[ms.Parameter]) -> nn.Cell | None:
        """Return a Cell that averages loss, gradients and overflow over the ranks; ``None`` for a single process."""
        return Reducer(parameters, self.world_size, self.group_mb) if self.world_size > 1 else None

    def finite_check(self) -> FiniteCheck:
        """Return a Cell that tells whether the gradients of an update are finite."""
        return FiniteCheck()

    def all_reduce_sum(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over all ranks; the arrays have the same shape. The sum is computed in float32."""
        if self.world_size == 1:
            return array
        total = ops.AllReduce()(ms.Tensor(array.astype(np.float32))).asnumpy()
        return np.asarray(total, np.float64)

    def gather(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the arrays of all ranks, bit for bit, along a new first axis; they have the same shape."""
        if self.world_size == 1:
            return array[None]
        bits = (
            np.ascontiguousarray(array).reshape(-1).view(np.int32)
        )  # as integers, because devices have no float64
        return ops.AllGather()(ms.Tensor(bits)).asnumpy().view(np.float64).reshape(-1, *array.shape)

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.all_reduce_sum(np.zeros(1))

    def peak_memory_bytes(self) -> int:
        """Return the most memory this process has held so far."""
        try:
            import resource
        except ImportError:  # Windows
            return int(psutil.Process().memory_info().peak_wset)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

    def close(self) -> None:
        """Leave the group of processes."""
        if self.world_size > 1:
            communication.release()


class Reducer(nn.Cell):
    """Averages a loss, its gradients and the mark of an overflow over the ranks, inside a compiled update.

    The values are sent in groups, the gradients of the last layers first, because a backward pass computes these
    first. A device with a queue for messages sends a group while it computes the next one. A small message costs
    mostly waiting for the other ranks, so one message for each Parameter would be too many.

    Args:
        parameters: their gradients are averaged.
        n_ranks: number of ranks.
        group_mb: smallest size of a group in MB; 0 sends all values as one message.
    """

    def __init__(self, parameters: list[ms.Parameter], n_ranks: int, group_mb: float = 0.0) -> None:
        super().__init__(auto_prefix=False)
        self.n_ranks = n_ranks
        self.all_reduce = ops.AllReduce()
        sizes = [parameter.size for parameter in parameters]
        self.groups = tuple((first, after, sizes[first:after]) for first, after in groups_of(sizes, group_mb))

    def construct(self, loss: ms.Tensor, gradients: tuple[ms.Tensor, ...], overflowed: ms.Tensor) -> Any:
        """Return the means of the loss, the gradients and the mark."""
        reduced, sent = gradients[:0], loss
        for first, after, sizes in self.groups:
            flat = [ops.cast(gradient, ms.float32).reshape(-1) for gradient in gradients[first:after]]
            if first == 0:  # the mark is complete when all gradients are
                flat = [*flat, loss.reshape(1), overflowed.reshape(1)]
                sizes = [*sizes, 1, 1]
            # The ranks must send in the same order, so each message waits for the one before it.
            sent = self.all_reduce(ops.depend(ops.concat(flat), sent))
            means = ops.split(sent / self.n_ranks, sizes)
            group = []
            for i, gradient in enumerate(gradients[first:after]):
                group.append(ops.cast(means[i].reshape(gradient.shape), gradient.dtype))
            if first == 0:
                loss, overflowed = means[-2].reshape(loss.shape), means[-1].reshape(loss.shape)
            reduced = tuple(group) + reduced
        return loss, reduced, overflowed


def groups_of(sizes: list[int], group_mb: float) -> list[tuple[int, int]]:
    """Cut a sequence of float32 arrays into groups of at least ``group_mb``, from the end to the begin.

    Args:
        sizes: number of values of each array.
        group_mb: smallest size of a group in MB; 0 makes a single group. The group at the begin may be smaller.

    Returns:
        The index of the first array of each group, and the index after its last one.
    """
    least = group_mb * 1e6 / 4 if group_mb else sum(sizes) + 1
    groups, after, n_values = [], len(sizes), 0
    for i in range(len(sizes) - 1, -1, -1):
        n_values += sizes[i]
        if n_values >= least or i == 0:
            groups.append((i, after))
            after, n_values = i, 0
    return groups or [(0, 0)]


def group_size() -> int:
    """Return the number of processes of the run, from the launcher's environment or from that of a rank table."""
    by_table = os.environ.get("RANK_SIZE", "1") if os.environ.get("RANK_TABLE_FILE") else "1"
    return int(os.environ.get("MS_WORKER_NUM", by_table))
