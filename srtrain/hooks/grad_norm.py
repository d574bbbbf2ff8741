"""Log the norm of the gradient."""

from __future__ import annotations

from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import STATE, Hook


@HOOKS.register("grad_norm")
class GradNormHook(Hook):
    """Logs ``grad_norm``, the global L2 norm of the gradient of the last update, at each logging step.

    The norm is that of the mean gradient over the ranks, without loss scale and before clipping. Use it to choose
    ``optim.clip_norm``.
    """

    order = STATE  # before the writers

    def setup(self, trainer: TrainerApi) -> None:
        """Ask for the norm, which is part of the compiled update."""
        trainer.watch_grad_norm()

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Log the norm of a logging step."""
        if trainer.log_due:
            trainer.log.put(grad_norm=trainer.grad_norm)
