"""Train with the library: a twin of a network whose 3x3 convolutions are operators of the library."""

from __future__ import annotations

import functools
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from srtrain.kernels.library import F23, F43, load_library
from srtrain.models.twin import twin

METHODS = {"f23": F23, "f43": F43}
"""The names that a recipe uses."""


def fast_twin(model: nn.Cell, method: str, threads: int = 1) -> tuple[nn.Cell, int]:
    """Return a twin of a network that trains with the library, and how many of its convolutions do.

    The twin has the Parameters of ``model``. Cells that the library cannot compute stay as they are.

    Args:
        model: any network.
        method: ``f23`` or ``f43``.
        threads: cores to use.

    Raises:
        CannotBuildError: there is no library on this machine.
    """
    library = load_library()
    library.set_threads(threads)
    library.c.srk_set_training_method(METHODS[method])
    copied, n_fast = twin(model), 0
    for _, cell in copied.cells_and_names():
        if is_supported(cell):
            cell.operator = _operator()
            # Another cell in its place would rename the Parameters, which the checkpoint knows by their names.
            object.__setattr__(cell, "__class__", FastConv)
            n_fast += 1
    return copied, n_fast


def is_supported(cell: nn.Cell) -> bool:
    """Return whether a cell is a 3x3 convolution with bias and stride 1 that keeps the size, without groups."""
    return (
        type(cell) is nn.Conv2d
        and cell.kernel_size == (3, 3)
        and cell.stride == (1, 1)
        and cell.dilation == (1, 1)
        and cell.group == 1
        and cell.has_bias
        and (cell.pad_mode == "same" or (cell.pad_mode == "pad" and cell.padding in (1, (1, 1, 1, 1))))
    )


class FastConv(nn.Conv2d):
    """A convolution by the library in float32; in other types MindSpore computes it."""

    operator: ops.Custom

    def construct(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, K, H, W)."""
        if x.dtype == ms.float32 and self.weight.dtype == ms.float32:
            return self.operator(x, self.weight, self.bias)
        return super().construct(x)


class _Shared(ops.Custom):
    """An operator that copies of a network share: MindSpore cannot copy one."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self


@functools.cache
def _operator() -> ops.Custom:
    """Return the operator, whose gradient is an operator too. MindSpore keeps gradients by the operator's name."""
    file = load_library().file
    gradient = _Shared(
        f"{file}:srk_op_conv_grad",
        out_shape=lambda x, weight, dy: (x, weight, [weight[0]]),
        out_dtype=lambda x, weight, dy: (x, x, x),
        func_type="aot",
    )

    def bprop(x: Tensor, weight: Tensor, bias: Tensor, out: Tensor, dout: Tensor) -> Any:
        return gradient(x, weight, dout)

    return _Shared(
        f"{file}:srk_op_conv",
        out_shape=lambda x, weight, bias: [x[0], weight[0], x[2], x[3]],
        out_dtype=lambda x, weight, bias: x,
        func_type="aot",
        bprop=bprop,
    )
