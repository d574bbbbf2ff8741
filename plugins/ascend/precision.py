"""Mixed precision by MindSpore's levels O1, O2, O3 and auto, in float16 with a loss scale, or in bfloat16.

    level  in 16 bits                                                    safe for
    O0     nothing (the same as precision=float32)                       all networks
    O1     convolutions, dense layers, and the classes in ``float16``    all networks
    O2     all but normalisation layers and the classes in ``float32``   all networks
    O3     everything                                                    networks without normalisation, such as EDSR
    auto   operators in a list of MindSpore                              all networks

bfloat16 has the range of float32 and 8 bits of precision, so it needs no loss scale. MindSpore has no bfloat16
convolution on a CPU: there, O1 rounds the operands and the result of float32 convolutions, and the other levels refuse.

Weights and optimizer stay in float32 at each level. Training uses a copy of the model with the same Parameters.
Evaluation uses the model itself in float32, so it gives the same scores as ``srtrain evaluate``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mindspore as ms
from mindspore import Tensor, amp, nn, ops

from srtrain.device import PRECISIONS
from srtrain.device.precision import Precision
from srtrain.errors import RecipeError, did_you_mean, listing
from srtrain.models.twin import twin

DYNAMIC_START = 2**16

PRECISIONS.register("O0")(Precision)


DTYPES = {"float16": ms.float16, "bfloat16": ms.bfloat16}


class MixedPrecision(Precision):
    """Trains a copy of the network with the casts of a level, under a loss scale.

    Args:
        cast: returns a network with the casts of its level to a dtype; it may change its argument.
        loss_scale: a number is a fixed scale; ``"dynamic"`` starts at 2^16, halves after an overflow and doubles
            after ``window`` good updates; ``None`` is 1000 for float16, and no loss scale for bfloat16.
        window: good updates in a row before a dynamic scale doubles.
        dtype: ``float16`` or ``bfloat16``.
    """

    def __init__(
        self,
        cast: Callable[[nn.Cell, ms.Type], nn.Cell],
        loss_scale: float | str | None,
        window: int,
        dtype: str,
    ) -> None:
        super().__init__()
        if window < 1:
            raise RecipeError(f"precision.window = {window!r} must be 1 or more updates.")
        if dtype not in DTYPES:
            raise RecipeError(
                f"precision.dtype = {dtype!r} is not one of {listing(map(repr, DTYPES))}.{did_you_mean(dtype, DTYPES)}"
            )
        self.cast = cast
        self.dtype = dtype
        if loss_scale is None:
            loss_scale = 1000.0 if dtype == "float16" else 1.0
        if loss_scale == "dynamic":
            self.scaler = amp.DynamicLossScaler(
                scale_value=DYNAMIC_START, scale_factor=2, scale_window=window
            )
        elif not (isinstance(loss_scale, (int, float)) and 1 <= loss_scale < float("inf")):
            raise RecipeError(
                f"precision.loss_scale = {loss_scale!r} must be a number from 1 up or 'dynamic'."
            )
        elif dtype == "float16" or loss_scale > 1:
            self.scaler = amp.StaticLossScaler(loss_scale)

    def prepare(self, model: nn.Cell) -> nn.Cell:
        """Return a network with the casts of the level and the Parameters of ``model``."""
        return self.cast(twin(model), DTYPES[self.dtype])

    def state(self) -> dict[str, ms.Parameter]:
        """Return a dynamic scale and its counter as Parameters by name."""
        if isinstance(self.scaler, amp.DynamicLossScaler):
            return {"loss_scale.value": self.scaler.scale_value, "loss_scale.counter": self.scaler.counter}
        return {}

    def loss_scale(self) -> float:
        """Return the present loss scale."""
        return 1.0 if self.scaler is None else float(self.scaler.scale_value.asnumpy())


@PRECISIONS.register("O1")
def o1(
    loss_scale: float | str | None = None,
    window: int = 1000,
    float16: tuple[str, ...] = (),
    dtype: str = "float16",
) -> MixedPrecision:
    """Return O1; ``float16`` names more classes of cells to run in 16 bits.

    Args:
        loss_scale: number of 1 or more, or ``dynamic``; 1000 if it is not given, and 1 for bfloat16.
        window: good updates in a row before a dynamic scale doubles.
        float16: names of more classes of cells to run in 16 bits.
        dtype: ``float16`` or ``bfloat16``.
    """

    def cast(network: nn.Cell, to: ms.Type) -> nn.Cell:
        known = [kind for kind in amp.get_white_list() if issubclass(kind, nn.Cell)]
        kinds = (*known, *classes_of(network, float16, "precision.float16"))
        if to == ms.bfloat16 and on_cpu():
            return with_rounding(network)
        return in_16_bits(network, kinds, to)

    return MixedPrecision(cast, loss_scale, window, dtype)


@PRECISIONS.register("O2")
def o2(
    loss_scale: float | str | None = None,
    window: int = 1000,
    float32: tuple[str, ...] = (),
    dtype: str = "float16",
) -> MixedPrecision:
    """Return O2; ``float32`` names more classes of cells to keep in float32.

    Args:
        loss_scale: number of 1 or more, or ``dynamic``; 1000 if it is not given, and 1 for bfloat16.
        window: good updates in a row before a dynamic scale doubles.
        float32: names of more classes of cells to keep in float32.
        dtype: ``float16`` or ``bfloat16``.
    """

    def cast(network: nn.Cell, to: ms.Type) -> nn.Cell:
        refuse_on_cpu(to)
        kept = [*amp.get_black_list(), *classes_of(network, float32, "precision.float32")]
        return amp.custom_mixed_precision(network, black_list=kept, dtype=to)

    return MixedPrecision(cast, loss_scale, window, dtype)


@PRECISIONS.register("O3")
def o3(loss_scale: float | str | None = None, window: int = 1000, dtype: str = "float16") -> MixedPrecision:
    """Return O3; it refuses a network with normalisation layers.

    Args:
        loss_scale: number of 1 or more, or ``dynamic``; 1000 if it is not given, and 1 for bfloat16.
        window: good updates in a row before a dynamic scale doubles.
        dtype: ``float16`` or ``bfloat16``.
    """

    def cast(network: nn.Cell, to: ms.Type) -> nn.Cell:
        refuse_on_cpu(to)
        refuse_normalisation(network)
        return amp.auto_mixed_precision(network, amp_level="O3", dtype=to)

    return MixedPrecision(cast, loss_scale, window, dtype)


@PRECISIONS.register("auto")
def auto(loss_scale: float | str | None = None, window: int = 1000, dtype: str = "float16") -> MixedPrecision:
    """Return auto, which uses MindSpore's lists of operators; they cannot be changed through a public function.

    Args:
        loss_scale: number of 1 or more, or ``dynamic``; 1000 if it is not given, and 1 for bfloat16.
        window: good updates in a row before a dynamic scale doubles.
        dtype: ``float16`` or ``bfloat16``.
    """

    def cast(network: nn.Cell, to: ms.Type) -> nn.Cell:
        refuse_on_cpu(to)
        return Output32(amp.auto_mixed_precision(network, amp_level="auto", dtype=to))

    return MixedPrecision(cast, loss_scale, window, dtype)


class Output32(nn.Cell):
    """A cell with its output cast to float32."""

    def __init__(self, cell: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.cell = cell

    def construct(self, *inputs: Tensor) -> Tensor:
        """Return the cell's output as float32."""
        return ops.cast(self.cell(*inputs), ms.float32)


def in_16_bits(network: nn.Cell, kinds: tuple[type[nn.Cell], ...], to: ms.Type) -> nn.Cell:
    """Run all cells of these classes in a dtype, with casts from and to float32 around them.

    ``amp.auto_mixed_precision(…, "O1")`` is not used because it writes and imports a copy of each class's source,
    including decorators, and would register every block a second time.
    """
    for name, cell in list(network.name_cells().items()):
        if isinstance(cell, kinds):
            network.insert_child_to_cell(name, Output32(cell.to_float(to)))
        else:
            in_16_bits(cell, kinds, to)
    if isinstance(network, nn.SequentialCell):
        network.cell_list = list(network.cells())  # the list that construct uses
    return network


class RoundedConv(nn.Cell):
    """A float32 convolution of operands rounded to bfloat16; its result and all gradients are rounded too."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(auto_prefix=False)
        self.conv = conv

    def construct(self, x: Tensor) -> Tensor:
        """Return the rounded result as float32."""
        y = self.conv.conv2d(rounded(x), rounded(self.conv.weight))
        if self.conv.has_bias:
            y = ops.bias_add(y, rounded(self.conv.bias))
        return rounded(y)


def rounded(x: Tensor) -> Tensor:
    """Return float32 values that bfloat16 can hold; the gradient is rounded in the same way."""
    return ops.cast(ops.cast(x, ms.bfloat16), ms.float32)


def with_rounding(network: nn.Cell) -> nn.Cell:
    """Replace all convolutions of a network by rounded ones."""
    for name, cell in list(network.name_cells().items()):
        if isinstance(cell, nn.Conv2d):
            network.insert_child_to_cell(name, RoundedConv(cell))
        else:
            with_rounding(cell)
    if isinstance(network, nn.SequentialCell):
        network.cell_list = list(network.cells())  # the list that construct uses
    return network


def on_cpu() -> bool:
    """Return whether MindSpore computes on the CPU."""
    return bool(ms.get_context("device_target") == "CPU")


def refuse_on_cpu(dtype: ms.Type) -> None:
    """Refuse bfloat16 on a CPU.

    Raises:
        RecipeError: MindSpore has no operators for it.
    """
    if dtype == ms.bfloat16 and on_cpu():
        raise RecipeError(
            "precision.dtype = 'bfloat16': MindSpore's CPU has no operators in bfloat16. Use precision=O1, whose "
            "convolutions are then rounded to bfloat16, or precision.dtype=float16."
        )


def refuse_normalisation(network: nn.Cell) -> None:
    """Refuse a network with layers that O2 would keep in float32.

    Raises:
        RecipeError: the network has such layers; the error names them.
    """
    found = {
        type(c).__name__ for _, c in network.cells_and_names() if isinstance(c, tuple(amp.get_black_list()))
    }
    if found:
        raise RecipeError(
            f"precision = 'O3' runs every layer in float16, and {type(network).__name__} has {listing(found)}, whose "
            f"means and variances need float32. Use precision=O2, which keeps these layers in float32. O3 is for "
            f"networks without normalisation, such as EDSR."
        )


def classes_of(network: nn.Cell, names: Sequence[str], key: str) -> list[type[nn.Cell]]:
    """Return the classes of cells in a network with these names.

    Raises:
        RecipeError: the network has no cell of such a class.
    """
    kinds = {type(cell).__name__: type(cell) for name, cell in network.cells_and_names() if name}
    for name in names:
        if name not in kinds:
            raise RecipeError(
                f"{key} = {tuple(names)!r}: {type(network).__name__} has no cell of a class {name!r}."
                f"{did_you_mean(name, kinds)} It has: {listing(kinds)}."
            )
    return [kinds[name] for name in names]
