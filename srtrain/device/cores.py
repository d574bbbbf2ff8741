"""The number of usable cores."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Return the number of cores that this process may use; schedulers and ``taskset`` limit it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
