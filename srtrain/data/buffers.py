"""Batch buffers that are reused once no consumer holds them.

A batch takes megabytes. The system provides new memory page by page and fills it with zeros, which takes longer than
copying the patches.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

import numpy as np

from srtrain.arrays import UInt8


class Buffers:
    """Byte arrays that are reused only when nothing refers to them any more.

    Everything that reads an array (a batch, a view of it, a tensor that shares its memory) refers to it, and Python
    counts the references. At most ``n_kept`` arrays are kept.
    """

    def __init__(self, n_kept: int) -> None:
        self._n_kept = n_kept
        self._arrays: list[UInt8] = []
        self._lock = threading.Lock()  # two threads must not find the same array free
        self._free = _references([np.empty(0, np.uint8)])[0]

    def take(self, shape: tuple[int, ...]) -> UInt8:
        """Return a uint8 array of this shape with undefined content."""
        with self._lock:
            for k, references in enumerate(_references(self._arrays)):
                if references == self._free and self._arrays[k].shape == shape:
                    return self._arrays[k]
            fresh = np.empty(shape, np.uint8)
            if len(self._arrays) < self._n_kept:
                self._arrays.append(fresh)
            return fresh


def _references(arrays: Sequence[UInt8]) -> list[int]:
    """Count the references to each array, including those of the sequence and of this function."""
    return [sys.getrefcount(array) for array in arrays]
