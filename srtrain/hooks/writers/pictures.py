"""Write sheets of evaluated pictures: low-resolution, bicubic, ours, ground truth."""

from __future__ import annotations

from srtrain.data.picture import write_png
from srtrain.evaluation.results import EvalResult
from srtrain.evaluation.sheet import example_sheet
from srtrain.hooks import HOOKS
from srtrain.trainer.api import TrainerApi
from srtrain.trainer.hook import LOG, Hook
from srtrain.trainer.owned import PART, claim, own

own(f"pictures/{PART}")


@HOOKS.register("pictures")
class PicturesHook(Hook):
    """Writes ``pictures/<benchmark>_<picture>.png`` after each evaluation, in place of the previous one."""

    order = LOG

    def after_eval(self, trainer: TrainerApi, result: EvalResult) -> None:
        """Write a sheet for each example of the result."""
        if trainer.backend.rank == 0:
            (trainer.run_dir / "pictures").mkdir(exist_ok=True)
            for example in result.examples:
                file = claim(trainer.run_dir, f"pictures/{result.tag}_{example.name}.png")
                write_png(file, example_sheet(example, result.protocol))
