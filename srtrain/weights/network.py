"""Which network a file of weights is for. Importing this module is cheap."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srtrain.errors import RecipeError
from srtrain.recipe.record import encode
from srtrain.weights import SUFFIXES, is_weights_file

SCALES = (2, 3, 4, 1, 6, 8)
"""The scales that are tried where nobody names one."""


@dataclass(frozen=True)
class Network:
    """The network that a file of another framework is for, as a user or a recipe names it.

    Attributes:
        model: a name from ``MODELS``.
        model_args: its arguments, as in a recipe; the others have their default values.
        scales: the scales to try, in order. The first one that the shapes of the tensors fit is taken.
        value_range: the values that the weights were trained with: ``0-255`` or ``0-1``. ``None`` means what the class
            says in ``torch_range``, or else ``0-255``.
    """

    model: str
    model_args: Mapping[str, Any] = field(default_factory=dict)
    scales: tuple[int, ...] = SCALES
    value_range: str | None = None

    def about(self, scale: int) -> dict[str, Any]:
        """Return the description of the network at a scale, as a checkpoint has it."""
        return {"model": self.model, "model_args": encode(dict(self.model_args)), "scale": scale}

    def text(self) -> str:
        """Return everything that decides how a file is read, for the name of a file in the cache."""
        return json.dumps([self.model, encode(dict(self.model_args)), self.scales, self.value_range])


def takes_network(path: Path) -> bool:
    """Return whether ``path`` may be a file that does not know its network."""
    return is_weights_file(path) or (path.suffix == ".ckpt" and not path.is_dir())


def check_network(path: Path, network: Network | None) -> None:
    """Refuse a network for a file that says itself which network it holds.

    Raises:
        RecipeError: ``path`` is something else than a file of weights.
    """
    if network is not None and not takes_network(path):
        known = ", ".join([*SUFFIXES, ".ckpt"])
        raise RecipeError(
            f"--model {network.model} (model= in Python) is for files of weights ({known}), and {str(path)!r} knows "
            f"its network. Leave it out."
        )
