"""srtrain: train, evaluate, search, export and run super-resolution networks on MindSpore.

``srtrain.load(path).upscale(picture)`` upscales an array; see `srtrain.infer.model`.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srtrain.infer.model import load as load

STARTED = time.perf_counter()  # what "seconds after start-up" counts from

# Must be set before MindSpore is imported. On CPUs with AVX-512, the oneDNN inside MindSpore 2.10 finds no
# fast kernel for MindSpore's convolutions and falls back to one forty times slower; told to stop at AVX2, it
# takes the fast one (docs/mindspore.md). It changes nothing on other CPUs, and nothing on Ascend.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: ``import srtrain`` alone stays cheap."""
    if name == "load":
        from srtrain.infer.model import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
