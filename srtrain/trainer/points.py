"""Call the hooks at a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from srtrain.trainer.api import TrainerApi
from srtrain.trainer.hook import Hook, overrides


def call(hooks: Sequence[Hook], point: str, trainer: TrainerApi, *args: Any) -> None:
    """Call the hooks that act at ``point``; an exception gains a line that names hook, point and step."""
    for hook in hooks:
        if overrides(hook, point):
            try:
                getattr(hook, point)(trainer, *args)
            except BaseException as error:
                add_note(error, f"while running {type(hook).__name__}.{point} at step {trainer.step}")
                raise


def call_despite_errors(hooks: Sequence[Hook], point: str, trainer: TrainerApi, *args: Any) -> None:
    """Let every hook clean up: an exception in one is logged, so that it hides no earlier error."""
    for hook in hooks:
        try:
            getattr(hook, point)(trainer, *args)
        except Exception as error:
            trainer.log.warning(f"{type(hook).__name__}.{point} failed: {type(error).__name__}: {error}")


def add_note(error: BaseException, note: str) -> None:
    """Attach a line to an exception, as ``add_note`` does from Python 3.11 on; inner notes come first."""
    error.__notes__ = [*getattr(error, "__notes__", []), note]  # type: ignore[attr-defined]
