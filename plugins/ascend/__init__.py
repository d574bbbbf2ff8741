"""Ascend NPUs. Mixed precision (O0 to O3 and auto) and the hooks also run on a CPU."""

from . import backend, dump, precision, profile

__all__ = ["backend", "dump", "precision", "profile"]
