"""The score of a candidate: a short training with the same pictures in the same order, then measurements."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence

import numpy as np
from mindspore import nn

from srtrain.device.mode import as_function
from srtrain.errors import TrainingDivergedError, first_line
from srtrain.models.count import count
from srtrain.models.ensemble import channels_of, of_channels
from srtrain.models.upscale import Upscaler
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.factory import TrainerFactory
from srtrain.trainer.guard import HOPELESS
from srtrain.trainer.hook import LAST, Hook

from ..search.types import Outcome
from .crops import Crops

LATENCY_PX = (180, 320)  # height and width of the input that latency is measured on
_LATENCY_TURNS = 7


class Fitness:
    """Trains and measures networks. The result depends only on their blocks.

    Args:
        new_trainer: makes the trainer of a candidate.
        crops: the crops that PSNR is measured on.
        objectives: names of ``DIRECTIONS``; PSNR, parameters and multi-adds are always measured.
        needs_drops: whether to measure the PSNR that each block contributes.
    """

    def __init__(
        self, new_trainer: TrainerFactory, crops: Crops, objectives: Sequence[str], needs_drops: bool
    ) -> None:
        self.new_trainer = new_trainer
        self.crops = crops
        self.objectives = objectives
        self.needs_drops = needs_drops

    def __call__(self, blocks: tuple[str, ...]) -> Outcome:
        """Train and measure a network. A failure of the network is not raised; it is the reason of the outcome."""
        watch = Stopwatch()
        try:
            return self._measure(blocks, watch)
        except (MemoryError, RuntimeError, ValueError, TrainingDivergedError) as error:
            # MindSpore raises RuntimeError or ValueError for a network that it cannot build, run or keep in memory.
            return Outcome({}, f"{type(error).__name__}: {first_line(error)}", seconds=watch.seconds)

    def _measure(self, blocks: tuple[str, ...], watch: Stopwatch) -> Outcome:
        watch.lap("")
        trainer = self.new_trainer.build({"blocks": blocks}, [watch, StopWhenHopeless()])
        watch.lap("build")
        trainer.train()
        watch.lap("train")
        stop_if_hopeless(trainer)
        model, scale = trainer.model, self.new_trainer.scale
        psnr = self.psnr(model)
        if not math.isfinite(psnr):
            raise TrainingDivergedError(f"its PSNR is {psnr}")
        cost = count(model, scale)
        found = {"psnr": psnr, "parameters": cost.n_parameters, "multi_adds": cost.multi_adds}
        if "latency" in self.objectives:
            found["latency"] = latency(model)
        watch.lap("evaluate")
        drops = self.drops(model, psnr) if self.needs_drops else ()
        watch.lap("ablate")
        return Outcome(found, drops=drops, seconds=watch.seconds)

    def psnr(self, model: nn.Cell) -> float:
        """Return the PSNR of a network on the crops, in dB."""
        upscale = of_channels(as_function(model), channels_of(model))
        return self.crops.psnr(upscale(self.crops.lq))

    def drops(self, model: nn.Cell, psnr: float) -> tuple[float | None, ...]:
        """Return for each block the PSNR in dB that is lost without it; ``None`` if it cannot be bypassed."""
        lost: list[float | None] = []
        for i, block in enumerate(model.blocks):
            if block.n_in != block.n_out:
                lost.append(None)
                continue
            model.blocks[i] = nn.Identity()
            lost.append(psnr - self.psnr(model))
            model.blocks[i] = block
        return tuple(lost)


def latency(model: nn.Cell) -> float:
    """Return the time for one picture on this device in seconds: the median of several compiled runs."""
    upscale, picture = Upscaler(model), np.full((1, 3, *LATENCY_PX), 127, np.float32)
    upscale(picture)
    turns = []
    for _ in range(_LATENCY_TURNS):
        started = time.perf_counter()
        upscale(picture)
        turns.append(time.perf_counter() - started)
    return statistics.median(turns)


class Stopwatch(Hook):
    """Measures the wall time of each part of an evaluation. As a hook it times the first update, which compiles.

    Attributes:
        seconds: wall time by part.
    """

    order = LAST

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, part: str) -> None:
        """Add the time since the last call to a part; the empty name only restarts the clock."""
        now = time.perf_counter()
        if part:
            self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Count the first update as compiling, and report progress to the launcher."""
        if trainer.step == 1:
            float(out.loss)  # waits for the device
            self.lap("compile")
        trainer.backend.progress.beat()


class StopWhenHopeless(Hook):
    """Ends a training in which all recent updates were skipped."""

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Check at logging steps only, because reading the counts waits for the device."""
        if trainer.log_due:
            stop_if_hopeless(trainer)


def stop_if_hopeless(trainer: TrainerApi) -> None:
    """Raise an error if the training has diverged.

    Raises:
        TrainingDivergedError: the last ``HOPELESS`` updates were all skipped.
    """
    counts = trainer.counts
    if counts.n_bad_in_a_row >= HOPELESS:
        raise TrainingDivergedError(
            f"the last {counts.n_bad_in_a_row} updates up to step {trainer.step} were skipped, with a loss of "
            f"{counts.last_bad_loss:g}"
        )
