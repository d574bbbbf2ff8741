"""The ranges of values that networks from other software work in. Importing this module is cheap."""

from __future__ import annotations

from srtrain.errors import RecipeError

RANGES = {"0-255": (0.0, 255.0), "0-1": (0.0, 1.0), "-1-1": (-1.0, 1.0)}
"""The values of black and white, by name."""


def parse_range(text: str) -> tuple[str, str]:
    """Read ``0-1``, or ``0-1:0-255`` for an output in another range than the input; return the names of both.

    Raises:
        RecipeError: it is something else.
    """
    values_in, colon, values_out = text.partition(":")
    names = (values_in, values_out if colon else values_in)
    if not set(names) <= set(RANGES):
        raise RecipeError(
            f"the range {text!r} is not known. Give 0-255, 0-1 or -1-1 (--range=-1-1), or two of them if input and "
            f"output differ, such as 0-1:0-255."
        )
    return names
