"""How far a network looks: what tiles must overlap by so that their seams cannot be seen, nor measured.

A network says it in a static method ``receptive_px`` that takes the arguments of its class and returns pixels of its
input; ``models/edsr.py`` is the example. An exported file carries the number as ``about["receptive_px"]``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from srtrain.models import MODELS


def receptive_px(about: Mapping[str, Any]) -> int | None:
    """Return the radius, in pixels of the input, outside of which nothing changes an output pixel.

    Args:
        about: what a file says of its network: ``receptive_px``, or ``model``, ``model_args`` and ``scale``.

    Returns:
        ``None`` when nobody says: a network without the method, or one that looks at the whole picture.
    """
    if "receptive_px" in about:
        return None if about["receptive_px"] is None else int(about["receptive_px"])
    radius: int | None = _ask(about, "receptive_px")
    return radius


def size_multiple(about: Mapping[str, Any]) -> int:
    """Return what the place of a tile has to be a multiple of, in pixels of the input: 2 where the network halves it.

    Args:
        about: as in ``receptive_px``; its own key is ``size_multiple``.
    """
    return int(about["size_multiple"] if "size_multiple" in about else _ask(about, "size_multiple") or 1)


def _ask(about: Mapping[str, Any], question: str) -> Any:
    """Return what a network's static method says of the arguments in ``about``; ``None`` where it has none."""
    rule = (
        getattr(MODELS.get(about["model"]), question, None) if about.get("model") in MODELS.names() else None
    )
    if rule is None:
        return None
    arguments = inspect.signature(MODELS.get(about["model"])).bind_partial(
        scale=about["scale"], **about.get("model_args", {})
    )
    arguments.apply_defaults()
    return rule(**arguments.arguments)
