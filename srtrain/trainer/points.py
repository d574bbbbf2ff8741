"""Call the hooks at a point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from srtrain.evaluation.results import EvalResult
from srtrain.trainer.api import TrainerApi
from srtrain.trainer.hook import SAVE, Hook, overrides


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


class StepProgress:
    """How far the hooks have got with ``after_step``, so that a resumed run does exactly what is left of a step.

    A checkpoint is written by a hook, while the hooks after it have not seen the step yet: the evaluation and the lines
    of the step may still be missing. The checkpoint therefore says which hooks are done. A resumed run calls the hook
    that was at work and those after it again. It gives them the numbers of the step, and the evaluations that the
    checkpoint holds already.

    Attributes:
        again: whether the hooks see the step of a checkpoint for the second time.
        finished: whether the run ended at this step.
        log_due: whether it is a logging step.
        n_steps: updates since the last ``after_step``.
    """

    def __init__(self) -> None:
        self.again = self.finished = self.log_due = False
        self.n_steps = 0
        self._done: list[str] = []
        self._order: int | None = None
        self._running = ""
        self._results: dict[str, list[dict[str, Any]]] = {}
        self._known: dict[str, list[dict[str, Any]]] = {}

    def begin(self, n_steps: int, *, log_due: bool, finished: bool) -> None:
        """Begin with the hooks of a step."""
        self.again, self.n_steps, self.log_due, self.finished = False, n_steps, log_due, finished
        self._done, self._results, self._known = [], {}, {}

    def left(self, hooks: Sequence[Hook]) -> Iterator[Hook]:
        """Yield the hooks that have not finished the step, and note each that has."""
        seen: dict[str, int] = {}
        first, done = (self._order or 0, set(self._done)) if self.again else (None, set())
        for hook in hooks:
            if not overrides(hook, "after_step"):
                continue
            kind = type(hook).__name__
            seen[kind] = seen.get(kind, 0) + 1
            name = f"{kind}#{seen[kind]}"
            if first is not None and (hook.order < first or name in done):
                continue
            self._order, self._running = hook.order, name
            yield hook
            self._done.append(name)
        self._order, self._running, self.again = None, "", False

    def keep(self, result: EvalResult) -> None:
        """Keep a result of the hook that is at work."""
        if self._running:
            self._results.setdefault(f"{self._running} {result.benchmark}", []).append(result.plain())

    def known(self, benchmark: str) -> EvalResult | None:
        """Return the next result that the checkpoint holds for the hook that is at work, if there is one."""
        found = self._known.get(f"{self._running} {benchmark}")
        return EvalResult(**found.pop(0)) if found else None

    def state(self) -> dict[str, Any] | None:
        """Return what a checkpoint must hold, as JSON values; ``None`` if all hooks are done with the step."""
        if not self._running:
            return None
        values = {name: getattr(self, name) for name in ("n_steps", "log_due", "finished")}
        return {**values, "done": self._done, "order": self._order, "results": self._results}

    def ended(self) -> dict[str, Any]:
        """Return what the last checkpoint must hold, so that a resumed run calls only hooks that are new to it."""
        values = {name: getattr(self, name) for name in ("n_steps", "log_due", "finished")}
        return {**values, "done": self._done, "order": SAVE, "results": {}}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue in the middle of a step."""
        self.begin(int(state["n_steps"]), log_due=bool(state["log_due"]), finished=bool(state["finished"]))
        self.again, self._order, self._done = True, int(state["order"]), list(state["done"])
        self._known = {key: list(found) for key, found in state["results"].items()}
        self._results = {key: list(found) for key, found in state["results"].items()}
