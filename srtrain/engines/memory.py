"""Amounts of memory: as a user writes them, and as this process uses them."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from srtrain.errors import RecipeError

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}
# Bytes for each input pixel. The first is assumed when nothing was measured; it is more than EDSR with 256 channels at
# x4 needs. The second is a lower bound, for an engine that was used before and already holds its memory.
_CAUTIOUS_BYTES_PER_PX, _LEAST_BYTES_PER_PX = 40_000, 1000
_STATUS, _CLEAR_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def parse_bytes(text: str) -> int:
    """Parse an amount of memory such as ``1.5GB``, ``800 MB`` or ``2GiB``; return bytes.

    Raises:
        RecipeError: the text has another form, or is zero.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmg]?i?)b?", text.strip().lower())
    if found is None or found[2] not in _UNITS or float(found[1]) == 0:
        raise RecipeError(f"{text!r} is not an amount of memory; write it as 1.5GB, 800MB or 2GiB.")
    return round(float(found[1]) * _UNITS[found[2]])


def resident_bytes() -> int | None:
    """Return the resident memory of this process, or ``None`` on systems other than Linux."""
    return _status("VmRSS")


class Memory:
    """The memory that an engine computes in. The base class is that of this process.

    Attributes:
        of_host: whether the pictures of the host lie in the same memory.
    """

    of_host = True

    def reset_peak(self) -> None:
        """Begin to record a new peak."""
        with contextlib.suppress(OSError):  # then the recorded peak is older and higher, which is safe
            _CLEAR_PEAK.write_text("5")

    def held_bytes(self) -> int | None:
        """Return how much is in use, or ``None`` if the system does not say."""
        return resident_bytes()

    def peak_bytes(self) -> int | None:
        """Return the recorded peak, or ``None`` if the system does not say."""
        return _status("VmHWM")


class Gauge:
    """Measures how much memory an engine needs for each pixel of its input.

    Engines keep the memory they allocated, and allocate more when sizes vary. The gauge therefore divides the growth
    of the peak since its creation by the largest input so far. If other memory grew as well, the result is too high,
    which is safe. Creating a gauge resets the recorded peak.

    Args:
        memory: where the engine computes; by default in the memory of this process.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory or Memory()
        self.memory.reset_peak()
        self.base_bytes = self.memory.held_bytes() or 0
        self.n_px = 0

    def ran(self, n_px: int) -> None:
        """Record a run on an input of ``n_px`` pixels."""
        self.n_px = max(self.n_px, n_px)

    @property
    def bytes_per_px(self) -> float:
        """Memory for each input pixel, in bytes: measured, else a cautious guess."""
        peak = self.memory.peak_bytes()
        if peak is None or self.n_px == 0:
            return _CAUTIOUS_BYTES_PER_PX
        return max(_LEAST_BYTES_PER_PX, (peak - self.base_bytes) / self.n_px)


def _status(key: str) -> int | None:
    """Return a value of ``/proc/self/status`` in bytes, or ``None`` if it is not there."""
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
