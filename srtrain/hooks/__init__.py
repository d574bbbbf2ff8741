"""Hooks, one file each. ``build.py`` imports the files, which registers their names."""

from srtrain.trainer.hook import EVAL, FIRST, LAST, LOG, NORMAL, SAVE, STATE, Hook

__all__ = ["EVAL", "FIRST", "LAST", "LOG", "NORMAL", "SAVE", "STATE", "Hook"]
