"""Profile a few steps into the run folder, for MindStudio Insight or chrome://tracing."""

from __future__ import annotations

from mindspore.profiler import ProfilerActivity, profile, tensorboard_trace_handler

from srtrain.data.loader import Batch
from srtrain.errors import RecipeError
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import FIRST, Hook
from srtrain.trainer.owned import own

own("profile")


@HOOKS.register("profile")
class ProfileHook(Hook):
    """Profiles the steps from ``first`` to ``last`` into ``<run>/profile``, on an Ascend card including the device.

    On a CPU, MindSpore records only its own operators. Writing the trace takes a while after the last step.

    Args:
        first: first update to profile, counted from 1. Update 1 compiles, so leave it out.
        last: last update to profile.
    """

    order = FIRST  # so that the time of other hooks is part of a step

    def __init__(self, first: int = 11, last: int = 15) -> None:
        if not 1 <= first <= last:
            raise RecipeError(
                f"hooks.profile.first = {first!r} and last = {last!r}: first must be 1 or more, and last must be first "
                f"or more."
            )
        self.first = first
        self.last = last
        self._profile: profile | None = None

    def before_step(self, trainer: TrainerApi, batch: Batch) -> None:
        """Start with the first step."""
        if self._profile is None and self.first <= trainer.step + 1 <= self.last:
            folder = trainer.run_dir / "profile"
            of_device = [ProfilerActivity.NPU] if trainer.backend.target == "Ascend" else []
            self._profile = profile(
                activities=[ProfilerActivity.CPU, *of_device],
                start_profile=False,
                on_trace_ready=tensorboard_trace_handler(str(folder)),
            )
            self._profile.start()

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Stop after the last step."""
        if self._profile is not None and trainer.step >= self.last:
            float(out.loss)  # waits for the device
            self._end()
            trainer.log.info(f"step {trainer.step}: the profile is in {trainer.run_dir / 'profile'}")

    def close(self, trainer: TrainerApi) -> None:
        """Stop if the run ends early."""
        if self._profile is not None:
            self._end()

    def _end(self) -> None:
        if self._profile is not None:
            self._profile.stop()
        self._profile = None
        self.first = self.last + 1  # profile only once
