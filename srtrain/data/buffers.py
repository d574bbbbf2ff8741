"""Memory for batches, used again as soon as nobody holds it.

A batch is megabytes, and the system hands out fresh memory a page at a time, zeroed: that takes longer than
filling it with patches.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

import numpy as np

from srtrain.arrays import UInt8


class Buffers:
    """Arrays of bytes that are handed out again only when nothing refers to them any more.

    Whoever reads an array (a batch, a view of it, a tensor made from it without a copy) refers to it, and
    Python counts the references. At most ``n_kept`` arrays are remembered.
    """

    def __init__(self, n_kept: int) -> None:
        self._n_kept = n_kept
        self._arrays: list[UInt8] = []
        self._lock = threading.Lock()  # two threads must not find the same array free
        self._free = _references([np.empty(0, np.uint8)])[0]

    def take(self, shape: tuple[int, ...]) -> UInt8:
        """Return an array of a shape, its content undefined."""
        with self._lock:
            for k, references in enumerate(_references(self._arrays)):
                if references == self._free and self._arrays[k].shape == shape:
                    return self._arrays[k]
            fresh = np.empty(shape, np.uint8)
            if len(self._arrays) < self._n_kept:
                self._arrays.append(fresh)
            return fresh


def _references(arrays: Sequence[UInt8]) -> list[int]:
    """Count the references to each array, those of the sequence and of this function included."""
    return [sys.getrefcount(array) for array in arrays]
