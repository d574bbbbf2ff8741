"""What can be chosen about an exported file, and how an export fails. Imports nothing that takes time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from srtrain.errors import SrtrainError, UserError, did_you_mean, listing

METADATA_KEY = "srtrain"
"""Under this key a file holds, as JSON, what it is: in ONNX's ``metadata_props`` and in MindIR's ``user_info``."""

INPUT, OUTPUT = "lq", "sr"
"""The names of an ONNX graph's input and output."""

PADDING = "to_even_"
"""What the names of nodes begin with that pad a picture to even sides and crop it again."""

PRECISIONS = ("float32", "float16", "int8")


class ExportError(SrtrainError):
    """A file that would not compute what the checkpoint does; it was not kept."""


class UnsupportedError(ExportError):
    """A network with an operator that the format, or our way into it, does not have."""


@dataclass(frozen=True)
class Options:
    """Sizes and precision.

    Attributes:
        input_px: the only (height, width) that the file takes, or ``None`` for any.
        batch: the only number of pictures at once, or ``None`` for any.
        precision: one of ``PRECISIONS``.
    """

    input_px: tuple[int, int] | None = None
    batch: int | None = None
    precision: str = "float32"

    def __post_init__(self) -> None:
        for what, number in (("batch", self.batch), *(("input_px", n) for n in self.input_px or ())):
            if number is not None and number < 1:
                raise UserError(f"export: {what} is {number!r}; it must be 1 or more.")
        if self.precision not in PRECISIONS:
            raise UserError(
                f"export: precision is {self.precision!r}.{did_you_mean(self.precision, PRECISIONS)} Allowed: "
                f"{listing(PRECISIONS)}."
            )


def json_beside(file: Path) -> Path:
    """Return the JSON beside an exported file."""
    return file.with_name(file.name + ".json")
