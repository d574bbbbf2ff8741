"""Train with the library: a twin of a network whose known parts are programs of the library."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from srtrain.data.cache import default_cache_dir
from srtrain.files import import_file, write_whole
from srtrain.kernels.forms import program_of
from srtrain.kernels.library import F23, F43, load_library
from srtrain.kernels.program import CannotTraceError, Gradient, Program
from srtrain.models.twin import twin

METHODS = {"f23": F23, "f43": F43}
"""The names that a recipe uses."""


def fast_twin(model: nn.Cell, method: str, threads: int = 1) -> tuple[nn.Cell, int]:
    """Return a twin of a network that trains with the library, and how many of its convolutions do.

    The twin has the Parameters of ``model``. The largest parts that the library knows (forms.py) become one operator
    each, up to the whole network. Cells that it does not know stay as they are.

    Args:
        model: any network.
        method: ``f23`` or ``f43``.
        threads: cores to use.

    Raises:
        CannotBuildError: there is no library on this machine.
    """
    load_library().set_threads(threads)
    copied = twin(model)
    return copied, _speed_up(copied, METHODS[method])


def _speed_up(cell: nn.Cell, method: int) -> int:
    """Turn a cell, or cells in it, into programs; return how many convolutions these have."""
    try:
        program = program_of(cell, method)
        gradient = Gradient(program)
    except CannotTraceError:
        return sum(_speed_up(child, method) for child in cell.cells())
    parameters = tuple(program.parameters)
    # Not by setattr: MindSpore would take the Parameters for new ones of this cell, and rename them.
    for name, value in {
        "operator": _operator(program, gradient, len(parameters)),
        "program": Tensor(program.encode()),
        "parameters_in_order": parameters,
        "needs_even": program.needs_even,
        # Another cell in its place would rename the Parameters, which the checkpoint knows by their names.
        "__class__": _fast_class(cell.__class__),
    }.items():
        object.__setattr__(cell, name, value)
    return len(set(map(id, parameters))) // 2  # a block may apply a convolution several times


class FastCell(nn.Cell):
    """A cell whose work a program does in float32. In other types MindSpore does it."""

    operator: ops.Custom
    program: Tensor
    parameters_in_order: tuple[ms.Parameter, ...]
    needs_even: bool
    plain_construct: Callable[[Tensor], Tensor]

    def construct(self, x: Tensor) -> Tensor:
        """Map NCHW to NCHW."""
        fits = not self.needs_even or (x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0)
        if fits and x.dtype == ms.float32 and self.parameters_in_order[0].dtype == ms.float32:
            return self.operator(x, self.program, *self.parameters_in_order)[0]
        return self.plain_construct(x)


@functools.cache
def _fast_class(plain: type[nn.Cell]) -> type[nn.Cell]:
    # MindSpore's graph compiler takes super() for the class of the cell, which would call itself.
    return type(
        f"Fast{plain.__name__}",
        (FastCell, plain),
        {"__module__": __name__, "plain_construct": plain.construct},
    )


class _Shared(ops.Custom):
    """An operator that copies of a network share: MindSpore cannot copy one."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self


_numbers = itertools.count()


def _operator(program: Program, gradient: Gradient, n_parameters: int) -> ops.Custom:
    """Return the operator of a program, whose gradient is an operator too."""
    file = load_library().file
    units, n_out = program.tape_units, program.output.n
    size = program.size_of(program.output)
    number = next(_numbers)

    def shapes(x: list[int], *rest: list[int]) -> tuple[list[int], list[int]]:
        n, _, h, w = x
        return [n, n_out, int(h * size), int(w * size)], [units * n * h * w // 4]

    backward = _Shared(
        f"{file}:srk_op_program_grad",
        out_shape=lambda x, words, tape, dy, *parameters: (x, *parameters),
        out_dtype=lambda x, words, tape, dy, *parameters: (x, *parameters),
        func_type="aot",
    )
    bprop = _bprop_factory(n_parameters)(backward, Tensor(gradient.encode()))
    forward = _Shared(
        f"{file}:srk_op_program",
        out_shape=shapes,
        out_dtype=lambda x, *rest: (x, x),
        func_type="aot",
        bprop=bprop,
    )
    # MindSpore keeps the gradient of an operator by this name, and all programs have the same symbol.
    forward.add_prim_attr("uniq_name", f"srtrain_program_{number}")
    backward.add_prim_attr("uniq_name", f"srtrain_program_{number}_grad")
    return forward


@functools.cache
def _bprop_factory(n_parameters: int) -> Any:
    """Return what makes a ``bprop`` for so many Parameters.

    MindSpore compiles it from its source file, and knows no functions with any number of arguments. So there is a file
    for each number, in the cache.
    """
    names = ", ".join(f"p{index}" for index in range(n_parameters))
    text = (
        "from mindspore import ops\n\nzeros = ops.ZerosLike()\n\n\n"
        "def make(grad, backward):\n"
        f"    def bprop(x, program, {names}, out, dout):\n"
        f"        found = grad(x, backward, out[1], dout[0], {names})\n"
        "        return (found[0], zeros(program)) + found[1:]\n\n"
        "    return bprop\n"
    )
    file = default_cache_dir() / "kernels" / f"bprop_{n_parameters}.py"
    if not file.is_file() or file.read_text() != text:
        write_whole(file, text)
    return import_file(file, "srtrain_bprop").make
