"""Print the progress of a run."""

from __future__ import annotations

import sys

from tqdm import tqdm

from srtrain.errors import counted
from srtrain.evaluation.results import EvalResult, shown
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import LOG, Hook


@HOOKS.register("console")
class ConsoleHook(Hook):
    """Prints a line for each logging step and each evaluation, and shows a progress bar in a terminal."""

    order = LOG

    def before_train(self, trainer: TrainerApi) -> None:
        """Print the run folder and the number of updates, and open the progress bar."""
        self._last: dict[str, EvalResult] = {}
        n_left = trainer.max_steps - trainer.step
        trainer.log.info(
            f"run folder {trainer.run_dir}; {counted(n_left, 'update')} to go; compiling the first one"
        )
        self._bar = tqdm(
            total=trainer.max_steps,
            initial=trainer.step,
            unit="step",
            dynamic_ncols=True,
            disable=not (sys.stderr.isatty() and trainer.backend.rank == 0),
        )

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Print the numbers of a logging step."""
        self._bar.update(out.n_steps)
        if trainer.log_due:
            trainer.log.info(line(trainer.step, trainer.max_steps, trainer.log.scalars))

    def after_eval(self, trainer: TrainerApi, result: EvalResult) -> None:
        """Print the score with its protocol."""
        self._last[result.tag] = result
        trainer.log.info(f"step {trainer.step}  {result}")

    def after_train(self, trainer: TrainerApi) -> None:
        """Print how the run ended, and the last score of each benchmark."""
        end = f"stopped by {trainer.stop_reason}" if trainer.stop_reason else "finished"
        trainer.log.info(
            f"{end} at step {trainer.step} of {trainer.max_steps}; checkpoints in {trainer.store.folder}"
        )
        best = trainer.store.best_score()
        if best is not None:
            trainer.log.info(
                f"best {best['metric']} = {best['value']:.3f} dB at step {best['step']}, {best['protocol']}"
            )
        for result in self._last.values():
            trainer.log.info(
                f"PSNR on {result.benchmark}: ours {shown(result.psnr, '.2f')} dB, bicubic "
                f"{shown(result.bicubic_psnr, '.2f')} dB, gain {shown(result.gain, '+.2f')} dB, "
                f"{result.protocol}, {result.method}"
            )

    def close(self, trainer: TrainerApi) -> None:
        """Remove the progress bar."""
        if hasattr(self, "_bar"):
            self._bar.close()


def line(step: int, max_steps: int, scalars: dict[str, float]) -> str:
    """Return the console line of a logging step; numbers of other hooks follow at the end."""
    shown = {
        "loss": "loss {:.4f}",
        "lr": "lr {:.3g}",
        "pictures_per_second": "{:.1f} pictures/s",
        "data_wait": "data wait {:.1%}",
        "eta_seconds": "ETA {}",
        "peak_memory_gb": "peak {:.2f} GB",
    }
    values = dict(scalars)
    parts = [f"step {step}/{max_steps}"]
    for name, form in shown.items():
        if name in values:
            value = values.pop(name)
            parts.append(form.format(duration(value) if name == "eta_seconds" else value))
    return "  ".join(parts + [f"{name} {value:g}" for name, value in values.items()])


def duration(seconds: float) -> str:
    """Return ``1d 02:03:04`` or ``02:03:04``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{f'{days}d ' if days else ''}{hour:02}:{minute:02}:{second:02}"
