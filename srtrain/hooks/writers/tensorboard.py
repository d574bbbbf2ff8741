"""Write numbers, pictures and the recipe for TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from srtrain.evaluation.results import EvalResult
from srtrain.evaluation.sheet import example_sheet
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import LOG, Hook
from srtrain.trainer.owned import own

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

TRAINING = ("loss", "lr", "grad_norm", "loss_scale", "skipped_steps", "rollbacks")

own("events.out.tfevents.[0-9]*")


@HOOKS.register("tensorboard", from_run=("recipe_text",))
class TensorBoardHook(Hook):
    """Writes event files into the run folder; show them with ``tensorboard --logdir runs``.

    Args:
        recipe_text: from the run: the resolved recipe, shown as text.
    """

    order = LOG

    def __init__(self, recipe_text: str) -> None:
        self.recipe_text = recipe_text
        self._writer: SummaryWriter | None = None

    def before_train(self, trainer: TrainerApi) -> None:
        """Open the event file; after a resume, TensorBoard hides the events after the checkpoint."""
        if trainer.backend.rank:
            return
        from tensorboardX import SummaryWriter  # slow to import

        purge_step = trainer.step + 1 if trainer.step else None
        self._writer = SummaryWriter(str(trainer.run_dir), purge_step=purge_step)
        indented = "\n".join(f"    {line}" for line in self.recipe_text.splitlines())  # code in Markdown
        self._writer.add_text("recipe", indented, trainer.step)

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Write the numbers of a logging step."""
        if self._writer is None or not trainer.log_due:
            return
        for name, value in trainer.log.scalars.items():
            # TensorBoard opens the first two groups in alphabetical order: eval and train, but not usage.
            group = "train" if name in TRAINING else "usage"
            self._writer.add_scalar(f"{group}/{name}", value, trainer.step)

    def after_eval(self, trainer: TrainerApi, result: EvalResult) -> None:
        """Write the scores and the pictures."""
        if self._writer is None:
            return
        for name in ("psnr", "ssim", "gain"):
            self._writer.add_scalar(f"eval/{name}_{result.tag}", getattr(result, name), trainer.step)
        for example in result.examples:
            sheet = example_sheet(example, result.protocol)
            self._writer.add_image(
                f"eval/{result.tag}_{example.name}", sheet, trainer.step, dataformats="HWC"
            )
        self._writer.flush()

    def close(self, trainer: TrainerApi) -> None:
        """Flush and close the event file."""
        if self._writer is not None:
            self._writer.close()
