"""Ascend NPUs, and the mixed-precision levels O0, O2, O3 and auto, which also run on a CPU."""

from . import backend, precision

__all__ = ["backend", "precision"]
