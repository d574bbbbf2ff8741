"""Train on ModelArts or with any object store: fetch data from it, upload results to it, resume from it."""

from .hook import ModelArtsHook, around_run

__all__ = ["ModelArtsHook", "around_run"]
