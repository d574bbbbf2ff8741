"""Evaluate the benchmarks periodically, and mark the best checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence

from srtrain.evaluation.evaluator import EvalSet, Evaluator
from srtrain.evaluation.results import EvalResult
from srtrain.hooks import HOOKS
from srtrain.metrics.published import SELF_ENSEMBLE
from srtrain.models.ensemble import SelfEnsemble
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import EVAL, Hook


@HOOKS.register("evaluate", from_run=("benchmarks", "evaluator"))
class EvaluateHook(Hook):
    """Scores whole pictures every ``every`` steps and after the last one.

    Args:
        benchmarks: from the run: the recipe's ``benchmarks``.
        evaluator: from the run.
        every: period in steps.
        self_ensemble: average the outputs for the eight orientations of each picture.
        best: whether ``best`` names the checkpoint with the highest PSNR on the first benchmark.
    """

    order = EVAL  # after saving, so that a crash here loses no training

    def __init__(
        self,
        benchmarks: Sequence[EvalSet],
        evaluator: Evaluator,
        every: int = 1000,
        self_ensemble: bool = False,
        best: bool = True,
    ) -> None:
        self.benchmarks = benchmarks
        self.evaluator = evaluator
        self.every = every
        self.self_ensemble = self_ensemble
        self.best = best

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Evaluate if it is due, and after the last step."""
        if trainer.due(self.every) or trainer.finished:
            self._evaluate(trainer)

    def _evaluate(self, trainer: TrainerApi) -> None:
        results = [trainer.evaluate(benchmark, self._run) for benchmark in self.benchmarks]
        if self.best and results and not trainer.in_doubt:
            self._mark_best(trainer, results[0])

    def _run(self, benchmark: EvalSet) -> EvalResult:
        if self.self_ensemble:
            network = self.evaluator.network(benchmark.scale)
            return self.evaluator.run(benchmark, SELF_ENSEMBLE, SelfEnsemble(network))
        return self.evaluator.run(benchmark)

    def _mark_best(self, trainer: TrainerApi, result: EvalResult) -> None:
        best = trainer.store.best_score()
        again = best is not None and best["step"] == trainer.step  # a kill may have come between the files
        metric = f"psnr/{result.tag}"
        if best is None or again or best["metric"] != metric or result.rank > best.get("rank", best["value"]):
            # A picture that equals its ground truth is not in the mean PSNR, but must not make the checkpoint worse.
            rank = {"rank": result.rank} if result.rank != result.psnr else {}
            value = result.psnr if math.isfinite(result.psnr) else result.rank
            trainer.save()
            trainer.store.mark_best(
                trainer.step, metric=metric, value=value, protocol=result.protocol, **rank
            )


@HOOKS.register("self_ensemble_evaluate", from_run=("benchmarks", "evaluator"))
def self_ensemble_evaluate(
    benchmarks: Sequence[EvalSet], evaluator: Evaluator, every: int = 10_000
) -> EvaluateHook:
    """Return an evaluation with the ×8 self-ensemble. It takes eight times as long and does not mark the best.

    Args:
        benchmarks: from the run.
        evaluator: from the run.
        every: period in steps.
    """
    return EvaluateHook(benchmarks, evaluator, every, self_ensemble=True, best=False)
