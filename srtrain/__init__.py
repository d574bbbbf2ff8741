"""srtrain: train, evaluate, search, export and run super-resolution networks on MindSpore.

``srtrain.load(path).upscale(picture)`` upscales an array; see `srtrain.infer.model`.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srtrain.infer.model import load as load

STARTED = time.perf_counter()  # "seconds after start-up" are counted from here

# Must be set before MindSpore is imported. On CPUs with AVX-512, the oneDNN inside MindSpore 2.10 finds no fast kernel
# for MindSpore's convolutions and uses one that is forty times slower. Limited to AVX2, it uses the fast kernel
# (docs/mindspore.md). Other CPUs and Ascend are not affected.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import ``load`` at its first use, so that ``import srtrain`` alone is fast."""
    if name == "load":
        from srtrain.infer.model import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
