"""Ascend NPUs; the mixed-precision levels O0 to O3 and auto, and a profile, which also run on a CPU."""

from . import backend, precision, profile

__all__ = ["backend", "precision", "profile"]
