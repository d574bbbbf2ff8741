"""Memory as a number: as a user writes it, and as this process holds it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from srtrain.errors import RecipeError

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}
# Where nothing is known: more than EDSR with 256 channels at x4. And less than any network takes, for one whose engine
# was in use before and had its memory already.
_CAUTIOUS_BYTES_PER_PX, _LEAST_BYTES_PER_PX = 40_000, 1000
_STATUS, _CLEAR_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def parse_bytes(text: str) -> int:
    """Return the bytes that a text such as ``1.5GB``, ``800 MB`` or ``2GiB`` means.

    Raises:
        RecipeError: it means none, or no more than zero.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmg]?i?)b?", text.strip().lower())
    if found is None or found[2] not in _UNITS or float(found[1]) == 0:
        raise RecipeError(f"{text!r} is no amount of memory; write it as 1.5GB, 800MB or 2GiB.")
    return round(float(found[1]) * _UNITS[found[2]])


def resident_bytes() -> int | None:
    """Return the memory this process holds, or ``None`` where only Linux could say."""
    return _status("VmRSS")


class Gauge:
    """Learns from what an engine does how much memory it takes for each pixel of its input.

    Engines keep what they once had, and take more when sizes vary. So the peak of the process since the gauge was
    made is divided by the largest input so far; where other things grew too, that errs on the safe side. The peak
    that Linux remembers for the process is forgotten when a gauge is made.
    """

    def __init__(self) -> None:
        with contextlib.suppress(OSError):  # then the peak is an older, higher one: safe too
            _CLEAR_PEAK.write_text("5")
        self.base_bytes = resident_bytes() or 0
        self.n_px = 0

    def ran(self, n_px: int) -> None:
        """Count a run of so many pixels."""
        self.n_px = max(self.n_px, n_px)

    @property
    def bytes_per_px(self) -> float:
        """What a pixel takes, as far as is known."""
        peak = _status("VmHWM")
        if peak is None or self.n_px == 0:
            return _CAUTIOUS_BYTES_PER_PX
        return max(_LEAST_BYTES_PER_PX, (peak - self.base_bytes) / self.n_px)


def _status(key: str) -> int | None:
    """Return a line of the kernel's description of this process, in bytes."""
    try:
        found = re.search(rf"^{key}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
