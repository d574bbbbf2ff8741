"""A profile of a few steps in the run folder, of the kind that MindStudio Insight and chrome://tracing open."""

from __future__ import annotations

from mindspore.profiler import ProfilerActivity, profile, tensorboard_trace_handler

from srtrain.data.loader import Batch
from srtrain.errors import RecipeError
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import FIRST, Hook
from srtrain.trainer.run_folder import own

own("profile")


@HOOKS.register("profile")
class ProfileHook(Hook):
    """Profiles the steps from ``first`` to ``last`` into ``<run>/profile``; on a card the device too.

    On a CPU MindSpore records its own operators only. Reading the trace takes a while after the last step.

    Args:
        first: the first update to profile; not 1, which compiles.
        last: the last one.
    """

    order = FIRST  # what other hooks do is part of a step

    def __init__(self, first: int = 11, last: int = 15) -> None:
        if not 1 <= first <= last:
            raise RecipeError(
                f"hooks.profile.first = {first!r} and last = {last!r}: the steps are counted from 1, and the first "
                f"comes no later than the last."
            )
        self.first = first
        self.last = last
        self._profile: profile | None = None

    def before_step(self, trainer: TrainerApi, batch: Batch) -> None:
        """Begin with the first step."""
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
        """End with the last step."""
        if self._profile is not None and trainer.step >= self.last:
            float(out.loss)  # waits for the device
            self._end()
            trainer.log.info(f"step {trainer.step}: the profile is in {trainer.run_dir / 'profile'}")

    def close(self, trainer: TrainerApi) -> None:
        """End where a run ends before its time."""
        if self._profile is not None:
            self._end()

    def _end(self) -> None:
        if self._profile is not None:
            self._profile.stop()
        self._profile = None
        self.first = self.last + 1  # once a run
