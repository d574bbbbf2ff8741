"""ESR: evolutionary search for efficient networks of residual dense blocks, run as a hook of the trainer."""

from .run.full import FullCommand
from .run.hook import SearchHook
from .run.pipeline import PipelineCommand

__all__ = ["FullCommand", "PipelineCommand", "SearchHook"]
