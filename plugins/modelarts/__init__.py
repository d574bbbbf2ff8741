"""Training on ModelArts, or on any machine beside an object store: data from it, results to it, resume from it."""

from .hook import ModelArtsHook, around_run

__all__ = ["ModelArtsHook", "around_run"]
