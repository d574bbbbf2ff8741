"""Keep an exponential moving average of the weights and use it in evaluations."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from numpy.typing import NDArray

from srtrain.errors import RecipeError
from srtrain.evaluation.evaluator import EvalSet
from srtrain.evaluation.results import EvalResult
from srtrain.hooks import HOOKS
from srtrain.models.parameters import put
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import STATE, Hook


@HOOKS.register("ema")
class EmaHook(Hook):
    """Keeps ``average = decay * average + (1 - decay) * weight`` after each update.

    With ``train.sink_steps`` above 1, the weights after the last of these updates stand for all of them.

    Checkpoints hold the averages beside the weights. Evaluations use the averages; training does not.

    Args:
        decay: share of the old average that each update keeps, between 0 and 1.
    """

    order = STATE
    state_key = "ema"

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 < decay < 1:
            raise RecipeError(f"hooks.ema.decay = {decay!r} must be between 0 and 1.")
        self.decay = decay
        self._average: dict[str, NDArray[np.float32]] = {}
        self._set_aside: dict[str, NDArray[np.float32]] = {}

    def before_train(self, trainer: TrainerApi) -> None:
        """Start with the present weights, unless a checkpoint held averages."""
        if not self._average:
            self._average = {p.name: p.asnumpy().copy() for p in trainer.model.trainable_params()}

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Move the averages towards the new weights."""
        share = 1 - self.decay**out.n_steps
        for parameter in trainer.model.trainable_params():
            average = self._average[parameter.name]
            average += share * (parameter.asnumpy() - average)

    def before_eval(self, trainer: TrainerApi, benchmark: EvalSet) -> None:
        """Replace the weights by the averages."""
        for parameter in trainer.model.trainable_params():
            self._set_aside[parameter.name] = parameter.asnumpy().copy()
            put(parameter, self._average[parameter.name])

    def after_eval(self, trainer: TrainerApi, result: EvalResult) -> None:
        """Restore the weights."""
        for parameter in trainer.model.trainable_params():
            put(parameter, self._set_aside.pop(parameter.name))

    def state_dict(self) -> dict[str, Any]:
        """Return the averages as tensors."""
        return {name: ms.Tensor(value) for name, value in self._average.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the averages."""
        self._average = {name: value.asnumpy().copy() for name, value in state.items()}
