"""ESR: the evolutionary search for efficient networks of residual dense blocks, as a trainer's callback."""

from . import full, hook

__all__ = ["full", "hook"]
