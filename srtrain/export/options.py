"""What a user can choose about an exported file."""

from __future__ import annotations

from dataclasses import dataclass

from srtrain.errors import UserError, did_you_mean, listing
from srtrain.export.programs import Program
from srtrain.weights.network import Network

PRECISIONS = ("float32", "float16", "int8")


@dataclass(frozen=True)
class Options:
    """Sizes and precision of an exported file.

    Attributes:
        input_px: the only (height, width) that the file accepts, or ``None`` for any.
        batch: the only batch size that the file accepts, or ``None`` for any.
        precision: one of ``PRECISIONS``.
        plain: whether the network keeps its layers; else its linear end becomes one convolution.
        scale: the scale to export a network for several scales at, or ``None`` for the one in its recipe.
        program: the other program that will run the file, or ``None`` for srtrain and everything else.
        network: the network that a file of weights of another framework is for, or ``None``.

    Raises:
        UserError: a size below 1, an unknown precision, or a precision that is not for ``program``.
    """

    input_px: tuple[int, int] | None = None
    batch: int | None = None
    precision: str = "float32"
    plain: bool = False
    scale: int | None = None
    program: Program | None = None
    network: Network | None = None

    def __post_init__(self) -> None:
        for what, number in (("batch", self.batch), *(("input_px", n) for n in self.input_px or ())):
            if number is not None and number < 1:
                raise UserError(f"export: {what} is {number!r}; it must be 1 or more.")
        if self.precision not in PRECISIONS:
            raise UserError(
                f"export: precision is {self.precision!r}.{did_you_mean(self.precision, PRECISIONS)} Allowed: "
                f"{listing(PRECISIONS)}."
            )
        if self.program and self.precision != "float32":
            raise UserError(
                f"files for {self.program.name} are written in float32: remove --precision {self.precision}."
            )
