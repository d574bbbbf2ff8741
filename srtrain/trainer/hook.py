"""The hook protocol: what a hook may do, when, and in which order.

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

A hook may use ``trainer.step, max_steps, model, optimizer, lr, set_lr(), precision, backend, log, store,
run_dir, due(), save(), request_stop(reason)``. It observes or acts at a point; it never replaces the
trainer's functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtrain.errors import HookError, did_you_mean, listing

if TYPE_CHECKING:
    from srtrain.data.loader import Batch
    from srtrain.evaluation.evaluator import EvalSet
    from srtrain.evaluation.results import EvalResult
    from srtrain.trainer.trainer import Trainer
    from srtrain.trainer.types import StepOutput

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
    """A hook that does nothing; derive from it and define the points you need.

    Attributes:
        order: hooks run in rising order, ties as the recipe lists them.
        state_key: names this hook's state in a checkpoint; needed when ``state_dict`` returns anything.
    """

    order: int = NORMAL
    state_key: str = ""

    def setup(self, trainer: Trainer) -> None:
        """Run once, before any state is loaded."""

    def before_train(self, trainer: Trainer) -> None:
        """Run once, after resume."""

    def before_step(self, trainer: Trainer, batch: Batch) -> None:
        """Run before each update."""

    def after_step(self, trainer: Trainer, out: StepOutput) -> None:
        """Run after each update, which ``trainer.step`` already counts."""

    def before_eval(self, trainer: Trainer, benchmark: EvalSet) -> None:
        """Run before one benchmark is evaluated."""

    def after_eval(self, trainer: Trainer, result: EvalResult) -> None:
        """Run after one benchmark was evaluated."""

    def after_save(self, trainer: Trainer, path: Path) -> None:
        """Run when a checkpoint is complete on the disk."""

    def after_train(self, trainer: Trainer) -> None:
        """Run at the normal end and after a requested stop."""

    def on_error(self, trainer: Trainer, error: BaseException) -> None:
        """Run when an exception is about to propagate."""

    def close(self, trainer: Trainer) -> None:
        """Run always, in reverse order."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold: JSON values, and MindSpore tensors by name."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` returned."""


def plan(hooks: Sequence[Hook]) -> list[Hook]:
    """Return the hooks in the order in which they run.

    Raises:
        HookError: a method that looks like a point but is none, parameters that differ from the
            contract, or two stateful hooks with one state key. All mistakes are reported together.
    """
    mistakes: list[str] = []
    keys: dict[str, str] = {}
    for hook in hooks:
        kind = type(hook)
        if not isinstance(hook, Hook):
            mistakes.append(f"{kind.__name__} is no hook: derive it from srtrain.hooks.Hook.")
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
            mistakes.append(f"{kind.__name__} has a state_dict that no load_state_dict takes back.")
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
                    f"the names are part of the contract."
                )
        elif name.startswith(("before_", "after_", "on_")):
            mistakes.append(
                f"{kind.__name__}.{name} is no point of a hook.{did_you_mean(name, POINTS)} "
                f"Points: {listing(POINTS)}. A helper of yours starts with an underscore."
            )
    return mistakes


def overrides(hook: Hook, point: str) -> bool:
    """Return whether a hook does anything at a point."""
    return getattr(type(hook), point) is not getattr(Hook, point)


def plan_text(hooks: Sequence[Hook]) -> str:
    """Return who runs when, as a tree."""
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
