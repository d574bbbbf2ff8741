"""Built-in hooks, one file each; the contract is in ``srtrain/trainer/hook.py``."""

from srtrain.registry import Registry
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import EVAL, FIRST, LAST, LOG, NORMAL, SAVE, STATE, Hook

HOOKS = Registry("hook", __name__)

__all__ = [
    "EVAL",
    "FIRST",
    "HOOKS",
    "LAST",
    "LOG",
    "NORMAL",
    "SAVE",
    "STATE",
    "Hook",
    "StepOutput",
    "TrainerApi",
]
