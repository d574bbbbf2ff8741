"""Ascend NPUs. Mixed precision (O0 to O3 and auto) and the profile hook also run on a CPU."""

from . import backend, precision, profile

__all__ = ["backend", "precision", "profile"]
