"""Mixed precision by MindSpore's levels O1, O2, O3 and auto, with a static or a dynamic loss scale.

    level  in float16                                                    safe for
    O0     nothing (the same as precision=float32)                       all networks
    O1     convolutions, dense layers, and the classes in ``float16``    all networks
    O2     all but normalisation layers and the classes in ``float32``   all networks
    O3     everything                                                    networks without normalisation, such as EDSR
    auto   operators in a list of MindSpore                              all networks

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


class MixedPrecision(Precision):
    """Trains a copy of the network with the float16 casts of a level, under a loss scale.

    Args:
        cast: returns a network with the casts of its level; it may change its argument.
        loss_scale: a number is a fixed scale; ``"dynamic"`` starts at 2^16, halves after an overflow and doubles
            after ``window`` good updates.
        window: good updates in a row before a dynamic scale doubles.
    """

    def __init__(self, cast: Callable[[nn.Cell], nn.Cell], loss_scale: float | str, window: int) -> None:
        super().__init__()
        if window < 1:
            raise RecipeError(f"precision.window = {window!r} must be 1 or more updates.")
        self.cast = cast
        if loss_scale == "dynamic":
            self.scaler = amp.DynamicLossScaler(
                scale_value=DYNAMIC_START, scale_factor=2, scale_window=window
            )
        elif isinstance(loss_scale, (int, float)) and 1 <= loss_scale < float("inf"):
            self.scaler = amp.StaticLossScaler(loss_scale)
        else:
            raise RecipeError(
                f"precision.loss_scale = {loss_scale!r} must be a number from 1 up or 'dynamic'."
            )

    def prepare(self, model: nn.Cell) -> nn.Cell:
        """Return a network with the casts of the level and the Parameters of ``model``."""
        return self.cast(twin(model))

    def state(self) -> dict[str, ms.Parameter]:
        """Return a dynamic scale and its counter as Parameters by name."""
        if isinstance(self.scaler, amp.DynamicLossScaler):
            return {"loss_scale.value": self.scaler.scale_value, "loss_scale.counter": self.scaler.counter}
        return {}

    def loss_scale(self) -> float:
        """Return the present loss scale."""
        return 1.0 if self.scaler is None else float(self.scaler.scale_value.asnumpy())


@PRECISIONS.register("O1")
def o1(loss_scale: float | str = 1000.0, window: int = 1000, float16: tuple[str, ...] = ()) -> MixedPrecision:
    """Return O1; ``float16`` names more classes of cells to run in float16."""

    def cast(network: nn.Cell) -> nn.Cell:
        known = [kind for kind in amp.get_white_list() if issubclass(kind, nn.Cell)]
        return in_float16(network, (*known, *classes_of(network, float16, "precision.float16")))

    return MixedPrecision(cast, loss_scale, window)


@PRECISIONS.register("O2")
def o2(loss_scale: float | str = 1000.0, window: int = 1000, float32: tuple[str, ...] = ()) -> MixedPrecision:
    """Return O2; ``float32`` names more classes of cells to keep in float32."""

    def cast(network: nn.Cell) -> nn.Cell:
        kept = [*amp.get_black_list(), *classes_of(network, float32, "precision.float32")]
        return amp.custom_mixed_precision(network, black_list=kept, dtype=ms.float16)

    return MixedPrecision(cast, loss_scale, window)


@PRECISIONS.register("O3")
def o3(loss_scale: float | str = 1000.0, window: int = 1000) -> MixedPrecision:
    """Return O3; it refuses a network with normalisation layers."""

    def cast(network: nn.Cell) -> nn.Cell:
        refuse_normalisation(network)
        return amp.auto_mixed_precision(network, amp_level="O3", dtype=ms.float16)

    return MixedPrecision(cast, loss_scale, window)


@PRECISIONS.register("auto")
def auto(loss_scale: float | str = 1000.0, window: int = 1000) -> MixedPrecision:
    """Return auto, which uses MindSpore's lists of operators; they cannot be changed through a public function."""

    def cast(network: nn.Cell) -> nn.Cell:
        return Output32(amp.auto_mixed_precision(network, amp_level="auto", dtype=ms.float16))

    return MixedPrecision(cast, loss_scale, window)


class Output32(nn.Cell):
    """A cell with its output cast to float32."""

    def __init__(self, cell: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.cell = cell

    def construct(self, *inputs: Tensor) -> Tensor:
        """Return the cell's output as float32."""
        return ops.cast(self.cell(*inputs), ms.float32)


def in_float16(network: nn.Cell, kinds: tuple[type[nn.Cell], ...]) -> nn.Cell:
    """Run all cells of these classes in float16, with casts from and to float32 around them.

    ``amp.auto_mixed_precision(…, "O1")`` is not used because it writes and imports a copy of each class's source,
    including decorators, and would register every block a second time.
    """
    for name, cell in list(network.name_cells().items()):
        if isinstance(cell, kinds):
            network.insert_child_to_cell(name, Output32(cell.to_float(ms.float16)))
        else:
            in_float16(cell, kinds)
    if isinstance(network, nn.SequentialCell):
        network.cell_list = list(network.cells())  # the list that construct uses
    return network


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
