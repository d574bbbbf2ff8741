"""The receptive radius of a network: tiles that overlap by this radius give the result of the whole picture.

A network defines it in a static method ``receptive_px``, which takes the arguments of the class and returns pixels of
the input; ``models/edsr.py`` is an example. An exported file stores the number in ``about["receptive_px"]``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from srtrain.models import MODELS


def receptive_px(about: Mapping[str, Any]) -> int | None:
    """Return the radius in input pixels beyond which no pixel affects an output pixel.

    Args:
        about: description of the network: ``receptive_px``, or ``model``, ``model_args`` and ``scale``.

    Returns:
        ``None`` if the radius is unknown: the class has no such method, or the network uses the whole picture.
    """
    if "receptive_px" in about:
        return None if about["receptive_px"] is None else int(about["receptive_px"])
    radius: int | None = _ask(about, "receptive_px")
    return radius


def size_multiple(about: Mapping[str, Any]) -> int:
    """Return the multiple of input pixels at which tiles must start: 2 if the network works at half the size, else 1.

    Args:
        about: as for ``receptive_px``; the key is ``size_multiple``.
    """
    return int(about["size_multiple"] if "size_multiple" in about else _ask(about, "size_multiple") or 1)


def least_px(about: Mapping[str, Any]) -> int:
    """Return the least height and width that the layers of a network take; the network pads smaller pictures itself.

    Args:
        about: as for ``receptive_px``; the key is ``least_px``.
    """
    return int(about["least_px"] if "least_px" in about else _ask(about, "least_px") or 1)


def _ask(about: Mapping[str, Any], question: str) -> Any:
    """Call the static method ``question`` of the network with its arguments; return ``None`` if there is none."""
    if "model" not in about or about["model"] not in MODELS:  # the look-up imports all models, and MindSpore
        return None
    network = MODELS.get(about["model"])
    rule = getattr(network, question, None)
    if rule is None:
        return None
    given = {"scale": about["scale"], **about.get("model_args", {})}
    arguments = inspect.signature(network).bind_partial(**given)
    arguments.apply_defaults()
    return rule(**arguments.arguments)
