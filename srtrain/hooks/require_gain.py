"""Fail a run whose final PSNR is too close to bicubic."""

from __future__ import annotations

from typing import Any

from srtrain.errors import SrtrainError
from srtrain.evaluation.results import EvalResult
from srtrain.hooks import HOOKS
from srtrain.trainer.api import TrainerApi
from srtrain.trainer.hook import LAST, Hook


@HOOKS.register("require_gain")
class RequireGainHook(Hook):
    """Ends a finished run with an error when a benchmark's last PSNR is less than ``db`` above bicubic.

    Args:
        db: smallest gain over bicubic, in dB.
    """

    order = LAST  # after all results are written
    state_key = "require_gain"

    def __init__(self, db: float = 0.5) -> None:
        self.db = db
        self._results: dict[str, EvalResult] = {}

    def after_eval(self, trainer: TrainerApi, result: EvalResult) -> None:
        """Keep the newest result of each benchmark."""
        self._results[result.tag] = result

    def state_dict(self) -> dict[str, Any]:
        """Return the newest results."""
        return {"results": {tag: result.plain() for tag, result in self._results.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self._results = {tag: EvalResult(**result) for tag, result in state["results"].items()}

    def after_train(self, trainer: TrainerApi) -> None:
        """Compare the gains over bicubic with ``db``.

        Raises:
            SrtrainError: a gain is too small, or nothing was evaluated.
        """
        if trainer.stop_reason:
            return
        if not self._results:
            raise SrtrainError(
                "nothing was evaluated, so there is no gain over bicubic. Add benchmarks and hooks.evaluate."
            )
        for result in self._results.values():
            if not result.gain >= self.db:  # written like this, NaN is refused too
                side = "above" if result.gain >= 0 else "below"
                raise SrtrainError(
                    f"PSNR on {result.benchmark} is {abs(result.gain):.2f} dB {side} bicubic, but must be "
                    f"at least {self.db:.2f} dB above it ({result.protocol}). Train longer, or change "
                    f"hooks.require_gain.db."
                )
