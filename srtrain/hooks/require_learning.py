"""Fail a run whose loss did not fall or whose PSNR did not rise."""

from __future__ import annotations

from typing import Any, TypeVar

from srtrain.errors import SrtrainError
from srtrain.evaluation.results import EvalResult
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import LAST, Hook

T = TypeVar("T")


@HOOKS.register("require_learning")
class RequireLearningHook(Hook):
    """Ends a finished run with an error unless its loss fell and the PSNR of every benchmark rose.

    It compares the first logged loss and the first evaluation with the last ones.
    """

    order = LAST  # after all results are written
    state_key = "require_learning"

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._results: dict[str, list[EvalResult]] = {}

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Keep the logged loss."""
        if trainer.log_due:
            self._losses.append(trainer.log.scalars["loss"])

    def after_eval(self, trainer: TrainerApi, result: EvalResult) -> None:
        """Keep the result."""
        self._results.setdefault(result.tag, []).append(result)

    def state_dict(self) -> dict[str, Any]:
        """Return the first and the last loss and result."""
        results = {tag: [r.plain() for r in _ends(found)] for tag, found in self._results.items()}
        return {"losses": _ends(self._losses), "results": results}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self._losses = list(state["losses"])
        self._results = {tag: [EvalResult(**r) for r in found] for tag, found in state["results"].items()}

    def after_train(self, trainer: TrainerApi) -> None:
        """Compare the first numbers with the last ones.

        Raises:
            SrtrainError: there is no progress.
        """
        if trainer.stop_reason:
            return
        evaluated = [results for results in self._results.values() if len(results) > 1]
        if len(self._losses) < 2 or not evaluated:
            trainer.log.info(
                "note: this run is too short to see whether it learns, which takes two logged losses and two "
                "evaluations; lower train.log_every and hooks.evaluate.every"
            )
            return
        if not self._losses[-1] < self._losses[0]:
            raise SrtrainError(
                f"the loss did not fall: {self._losses[0]:.4f} at first, {self._losses[-1]:.4f} at last."
            )
        for first, *_, last in evaluated:
            if not last.rank > first.rank:
                raise SrtrainError(
                    f"PSNR on {last.benchmark} did not rise: {first.psnr:.2f} dB at first, {last.psnr:.2f} dB at last "
                    f"({last.protocol})."
                )
        trainer.log.info(
            f"it learns: loss {self._losses[0]:.3f} to {self._losses[-1]:.3f}, "
            + ", ".join(f"{r[-1].benchmark} {r[0].psnr:.2f} to {r[-1].psnr:.2f} dB" for r in evaluated)
        )


def _ends(values: list[T]) -> list[T]:
    return values if len(values) < 2 else [values[0], values[-1]]
