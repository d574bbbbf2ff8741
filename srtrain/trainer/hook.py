"""The contract of hooks: what a hook may do, when, and in which order.

    setup(trainer)                            once, before any state is loaded
    before_train(trainer)                     once, after resume
        before_step(trainer, batch)           each step; keep it cheap
        after_step(trainer, out)              each step; trainer.step already counts it
        before_eval(trainer, benchmark)       around one benchmark
        after_eval(trainer, result)
        after_save(trainer, path)             a checkpoint is complete on the disk
    after_train(trainer)                      normal end, or a requested stop
    on_error(trainer, error)                  an exception is about to propagate
    close(trainer)                            always, in reverse order

``trainer`` is a ``TrainerApi``, which lists everything that a hook may use. A hook observes, or acts at a point; it
never replaces the trainer's functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srtrain.data.loader import Batch
from srtrain.errors import HookError, did_you_mean, listing
from srtrain.evaluation.evaluator import EvalSet
from srtrain.evaluation.results import EvalResult
from srtrain.trainer.api import StepOutput, TrainerApi

FIRST = 0  # timing: must see a step before anything else spends time on it
STATE = 20  # learning rate, EMA, loss scale, NaN guard: whatever is part of the run's state
SAVE = 40  # checkpoint: after the state is up to date
EVAL = 50  # evaluation, best: after saving, so that a crash in evaluation costs nothing
NORMAL = 60  # a user's hook, unless it says otherwise
LOG = 90  # writers: when all numbers of the step are known
LAST = 100

POINTS = {
    "setup": ("self", "trainer"),
    "before_train": ("self", "trainer"),
    "before_step": ("self", "trainer", "batch"),
    "after_step": ("self", "trainer", "out"),
    "before_eval": ("self", "trainer", "benchmark"),
    "after_eval": ("self", "trainer", "result"),
    "after_save": ("self", "trainer", "path"),
    "after_train": ("self", "trainer"),
    "on_error": ("self", "trainer", "error"),
    "close": ("self", "trainer"),
}

RESERVED_KEYS = ("model", "optimizer", "state")  # the trainer's own files in a checkpoint


class Hook:
    """Base class of hooks; it does nothing. Derive from it and define the points you need.

    Attributes:
        order: hooks run in rising order; hooks of the same order run as the recipe lists them.
        state_key: name of this hook's state in a checkpoint; needed if the hook defines ``state_dict``.
    """

    order: int = NORMAL
    state_key: str = ""

    def setup(self, trainer: TrainerApi) -> None:
        """Run once, before any state is loaded."""

    def before_train(self, trainer: TrainerApi) -> None:
        """Run once, after resume."""

    def before_step(self, trainer: TrainerApi, batch: Batch) -> None:
        """Run before each update."""

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Run after each update, which ``trainer.step`` already counts."""

    def before_eval(self, trainer: TrainerApi, benchmark: EvalSet) -> None:
        """Run before one benchmark is evaluated."""

    def after_eval(self, trainer: TrainerApi, result: EvalResult) -> None:
        """Run after one benchmark was evaluated."""

    def after_save(self, trainer: TrainerApi, path: Path) -> None:
        """Run when a checkpoint is complete on the disk."""

    def after_train(self, trainer: TrainerApi) -> None:
        """Run at the normal end, or after a requested stop."""

    def on_error(self, trainer: TrainerApi, error: BaseException) -> None:
        """Run before an exception propagates."""

    def close(self, trainer: TrainerApi) -> None:
        """Run last, whatever happened; hooks are closed in reverse order."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold: JSON values, and MindSpore tensors by name."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""


def plan(hooks: Sequence[Hook]) -> list[Hook]:
    """Return the hooks in the order in which they run.

    Raises:
        HookError: a method has the name of no point, parameters differ from the contract, or state would be lost or
            overwritten. All mistakes are reported together.
    """
    mistakes: list[str] = []
    keys: dict[str, str] = {}
    for hook in hooks:
        kind = type(hook)
        if not isinstance(hook, Hook):
            mistakes.append(f"{kind.__name__} is not a hook: derive it from srtrain.hooks.Hook.")
            continue
        mistakes += _contract_mistakes(kind)
        stateful = kind.state_dict is not Hook.state_dict
        if stateful and not hook.state_key:
            mistakes.append(f"{kind.__name__} has a state_dict but no state_key to store it under.")
        elif stateful and hook.state_key in keys:
            mistakes.append(
                f"{kind.__name__} and {keys[hook.state_key]} both keep state under {hook.state_key!r}; "
                f"give one of them another state_key."
            )
        elif stateful and (hook.state_key in RESERVED_KEYS or not hook.state_key.isidentifier()):
            mistakes.append(
                f"{kind.__name__} has state_key = {hook.state_key!r}: it names a file of the checkpoint, so it must be "
                f"a plain word other than {listing(RESERVED_KEYS)}."
            )
        if stateful and kind.load_state_dict is Hook.load_state_dict:
            mistakes.append(f"{kind.__name__} has a state_dict but no load_state_dict to restore it.")
        keys[hook.state_key] = kind.__name__
    if mistakes:
        raise HookError("\n".join(mistakes))
    return sorted(hooks, key=lambda hook: hook.order)


def _contract_mistakes(kind: type[Hook]) -> list[str]:
    mistakes = []
    for name, member in inspect.getmembers(kind, inspect.isfunction):
        if name in POINTS:
            given = tuple(inspect.signature(member).parameters)
            if given != POINTS[name]:
                mistakes.append(
                    f"{kind.__name__}.{name}({', '.join(given)}) must be {name}({', '.join(POINTS[name])}): "
                    f"the parameter names are part of the contract."
                )
        elif name.startswith(("before_", "after_", "on_")):
            mistakes.append(
                f"{kind.__name__}.{name} is not a point of a hook.{did_you_mean(name, POINTS)} "
                f"Points: {listing(POINTS)}. Begin the name of a helper method with an underscore."
            )
    return mistakes


def overrides(hook: Hook, point: str) -> bool:
    """Return whether a hook defines a point."""
    return getattr(type(hook), point) is not getattr(Hook, point)


def plan_text(hooks: Sequence[Hook]) -> str:
    """Return the points of a run as a tree, with the hooks that act at each."""
    inside = {"before_step", "after_step", "before_eval", "after_eval", "after_save"}
    lines = ["a run"]
    for point in POINTS:
        acting = [h for h in hooks if overrides(h, point)]
        indent = "│   ├── " if point in inside else "├── "
        lines.append(f"{indent}{point}({', '.join(POINTS[point][1:])})")
        for hook in reversed(acting) if point == "close" else acting:
            bars = "│   │   " if point in inside else "│   "
            lines.append(f"{bars}    {hook.order:>3}  {type(hook).__name__}  ({type(hook).__module__})")
    return "\n".join(lines)
