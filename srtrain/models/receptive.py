"""How far a network looks: what tiles must overlap by so that their seams cannot be seen, nor measured.

A network says it in a static method ``receptive_px`` that takes the arguments of its class and returns pixels of its
input; ``models/edsr.py`` is the example. An exported file carries the number as ``about["receptive_px"]``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from srtrain.registry import MODELS


def receptive_px(about: Mapping[str, Any]) -> int | None:
    """Return the radius, in pixels of the input, outside of which nothing changes an output pixel.

    Args:
        about: what a file says of its network: ``receptive_px``, or ``model``, ``model_args`` and ``scale``.

    Returns:
        ``None`` when nobody says: a network without the method, or one that looks at the whole picture.
    """
    if "receptive_px" in about:
        return None if about["receptive_px"] is None else int(about["receptive_px"])
    if about.get("model") not in MODELS.names():
        return None
    network = MODELS.get(about["model"])
    rule = getattr(network, "receptive_px", None)
    if rule is None:
        return None
    arguments = inspect.signature(network).bind_partial(scale=about["scale"], **about.get("model_args", {}))
    arguments.apply_defaults()
    radius: int | None = rule(**arguments.arguments)
    return radius
