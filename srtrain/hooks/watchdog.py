"""End a run that makes no progress, and write the stacks of all its threads."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from srtrain.data.loader import Batch
from srtrain.device.progress import EXIT_STUCK, Progress
from srtrain.errors import RecipeError
from srtrain.evaluation.evaluator import EvalSet
from srtrain.evaluation.results import EvalResult
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import LAST, Hook


@HOOKS.register("watchdog")
class WatchdogHook(Hook):
    """Ends the process with exit code 75 after ``seconds`` without progress.

    Each point of the loop, each evaluated picture and each saved checkpoint counts as progress. Under ``srtrain
    launch`` the launcher watches all ranks and names the one that the others wait for. In a single process a thread
    watches and writes the stacks.

    Args:
        seconds: must be longer than compiling, one evaluated picture, or one checkpoint takes, and shorter than the
            time after which MindSpore's collectives give up (on Ascend ``HCCL_EXEC_TIMEOUT``, 1800 s): they do not say
            which rank is missing.
    """

    order = LAST  # a point is passed when all other hooks are done with it

    def __init__(self, seconds: float = 1500.0) -> None:
        if seconds <= 0:
            raise RecipeError(
                f"hooks.watchdog.seconds = {seconds!r} must be above 0; hooks.watchdog=None removes it."
            )
        self.seconds = seconds
        self._alone: Watch | None = None

    def setup(self, trainer: TrainerApi) -> None:
        """Start to watch."""
        if trainer.backend.world_size > 1:
            self._compare(trainer)
        progress = trainer.backend.progress
        progress.watch(self.seconds)
        progress.passed("setup", trainer.step)
        if not progress.watched_from_outside:
            file = trainer.run_dir / f"run.rank{trainer.backend.rank}.stacks.log"
            self._alone = Watch(progress, self.seconds, file, trainer.log.warning)

    def _compare(self, trainer: TrainerApi) -> None:
        """Print which limit comes first, this one or that of the collectives."""
        variable, seconds = trainer.backend.collective_timeout()
        ours = f"the watchdog ends a run that hangs after {self.seconds:g} s (hooks.watchdog.seconds)"
        if self.seconds < seconds:
            trainer.log.info(f"{ours}, the collectives after {seconds:g} s ({variable})")
        else:
            trainer.log.warning(
                f"{ours}, but the collectives give up before that, after {seconds:g} s ({variable}), and do not name "
                f"the rank that is missing. Set hooks.watchdog.seconds below it, or raise {variable}."
            )

    def before_train(self, trainer: TrainerApi) -> None:
        """Record that set-up is done."""
        trainer.backend.progress.passed("before_train", trainer.step)

    def before_step(self, trainer: TrainerApi, batch: Batch) -> None:
        """Record that a batch has arrived."""
        trainer.backend.progress.passed("before_step", trainer.step)

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Record that the update and the other hooks are done."""
        trainer.backend.progress.passed("after_step", trainer.step)

    def before_eval(self, trainer: TrainerApi, benchmark: EvalSet) -> None:
        """Record the start of an evaluation; the evaluator then reports each picture."""
        trainer.backend.progress.passed("before_eval", trainer.step)

    def after_eval(self, trainer: TrainerApi, result: EvalResult) -> None:
        """Record the end of an evaluation."""
        trainer.backend.progress.passed("after_eval", trainer.step)

    def after_save(self, trainer: TrainerApi, path: Path) -> None:
        """Record that a checkpoint is complete."""
        trainer.backend.progress.passed("after_save", trainer.step)

    def after_train(self, trainer: TrainerApi) -> None:
        """Record that training has ended."""
        trainer.backend.progress.passed("after_train", trainer.step)

    def close(self, trainer: TrainerApi) -> None:
        """Stop watching."""
        trainer.backend.progress.watch(0)
        if self._alone is not None:
            self._alone.close()


class Watch:
    """A thread that ends this process after ``seconds`` without progress.

    Native code that holds the interpreter's lock stops this thread too. A timer of ``faulthandler``, which needs no
    lock, covers that case: each sign of life restarts it, and after 1.5 times ``seconds`` it writes the stacks and
    ends the process with exit code 1, the only code it can use.
    """

    def __init__(self, progress: Progress, seconds: float, file: Path, say: Callable[[str], None]) -> None:
        self._progress = progress
        self._seconds = seconds
        self._path = file
        self._file: IO[str] = file.open("a", encoding="utf-8")
        self._say = say
        self._over = threading.Event()
        self._wind_up()
        self._thread = threading.Thread(target=self._watch, name="srtrain-watchdog", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        beat = 0.0
        while not self._over.wait(min(self._seconds / 4, 10.0)):
            position = self._progress.position()
            if position.stuck(time.monotonic()):
                self._end()
            if position.beat != beat:
                beat = position.beat
                self._wind_up()

    def _wind_up(self) -> None:
        faulthandler.dump_traceback_later(1.5 * self._seconds, file=self._file, exit=True)

    def _end(self) -> None:
        faulthandler.dump_traceback(self._file, all_threads=True)
        doing = self._progress.position().doing
        self._say(
            f"no progress for {self._seconds:g} s (hooks.watchdog.seconds), {doing}; the stacks of all threads are in "
            f"{self._path}. Continue from the last checkpoint with --resume."
        )
        sys.stderr.flush()
        os._exit(EXIT_STUCK)

    def close(self) -> None:
        """Stop watching, and delete the file of stacks if it is empty."""
        self._over.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()
        self._file.close()
        if self._path.stat().st_size == 0:
            self._path.unlink()
