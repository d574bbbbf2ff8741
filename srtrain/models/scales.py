"""Networks for several scales, such as MDSR: one set of weights, and a branch for each scale.

Such a network takes an argument ``scales`` and keeps it as an attribute. Its ``construct`` takes a scale beside the
picture; without one, it uses the ``scale`` that it was built with. An exported file holds the branch of one scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from srtrain.models import MODELS
from srtrain.registry import parameters_of


def scales_of(model: str, args: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the scales of a network for several scales, from its name and arguments; empty for any other network."""
    known = parameters_of(MODELS.get(model)).get("scales")
    return () if known is None else tuple(args.get("scales", known.default))
