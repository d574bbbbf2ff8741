"""Fails a run that did not learn."""

from __future__ import annotations

from srtrain.errors import SrtrainError
from srtrain.evaluation.results import EvalResult
from srtrain.hooks import HOOKS
from srtrain.trainer.api import TrainerApi
from srtrain.trainer.hook import LAST, Hook


@HOOKS.register("require_gain")
class RequireGainHook(Hook):
    """Ends a finished run with an error when a benchmark's last PSNR is less than ``db`` above bicubic."""

    order = LAST  # after everything about the run is written

    def __init__(self, db: float = 0.5) -> None:
        self.db = db
        self._results: dict[str, EvalResult] = {}

    def after_eval(self, trainer: TrainerApi, result: EvalResult) -> None:
        """Remember the newest result."""
        self._results[result.tag] = result

    def after_train(self, trainer: TrainerApi) -> None:
        """Compare.

        Raises:
            SrtrainError: the gain is too small, or nothing was evaluated.
        """
        if trainer.stop_reason:
            return
        if not self._results:
            raise SrtrainError(
                "nothing was evaluated, so there is no gain over bicubic; add benchmarks and hooks.evaluate."
            )
        for result in self._results.values():
            if result.gain < self.db:
                raise SrtrainError(
                    f"PSNR on {result.benchmark} is {result.gain:+.2f} dB above bicubic, but {self.db:+.2f} dB are "
                    f"required ({result.protocol})."
                )
