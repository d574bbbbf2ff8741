"""Write numbers, pictures and the recipe for TensorBoard."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from srtrain.evaluation.results import EvalResult
from srtrain.evaluation.sheet import example_sheet
from srtrain.hooks import HOOKS
from srtrain.hooks.writers.event_file import PREFIX, EventFile
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import LOG, Hook
from srtrain.trainer.owned import own

TRAINING = ("loss", "lr", "grad_norm", "loss_scale", "skipped_steps", "rollbacks")

SUFFIX = ".run"

own(f"{PREFIX}[0-9]*")


@HOOKS.register("tensorboard", from_run=("recipe_text",))
class TensorBoardHook(Hook):
    """Writes event files into the run folder; show them with ``tensorboard --logdir runs``.

    Args:
        recipe_text: from the run: the resolved recipe, shown as text.
    """

    order = LOG
    state_key = "tensorboard"

    def __init__(self, recipe_text: str) -> None:
        self.recipe_text = recipe_text
        self._file: EventFile | None = None
        self._kept: dict[str, Any] = {"bytes": 0, "recipe": ""}

    def before_train(self, trainer: TrainerApi) -> None:
        """Open the event file; a resumed run first drops the events after its checkpoint."""
        if trainer.backend.rank:
            return
        from tensorboardX.summary import text  # slow to import

        self._file = EventFile(trainer.run_dir, SUFFIX, self._kept["bytes"])
        if not self._file.continues or self._kept["recipe"] != self._digest():
            indented = "\n".join(f"    {line}" for line in self.recipe_text.splitlines())  # code in Markdown
            self._file.add(text("recipe", indented), trainer.step)

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Write the numbers of a logging step."""
        if self._file is None or not trainer.log_due:
            return
        from tensorboardX.summary import scalar

        for name, value in trainer.log.scalars.items():
            # TensorBoard opens the first two groups in alphabetical order: eval and train, but not usage.
            group = "train" if name in TRAINING else "usage"
            self._file.add(scalar(f"{group}/{name}", value), trainer.step)

    def after_eval(self, trainer: TrainerApi, result: EvalResult) -> None:
        """Write the scores and the pictures."""
        if self._file is None:
            return
        from tensorboardX.summary import image, scalar

        for name in ("psnr", "ssim", "gain"):
            if math.isfinite(value := getattr(result, name)):
                self._file.add(scalar(f"eval/{name}_{result.tag}", value), trainer.step)
        for example in result.examples:
            sheet = example_sheet(example, result.protocol)
            self._file.add(image(f"eval/{result.tag}_{example.name}", sheet, dataformats="HWC"), trainer.step)

    def state_dict(self) -> dict[str, Any]:
        """Return the size of the event file, all of which is then on the disk, and a digest of the recipe in it."""
        return {"bytes": self._file.flushed_bytes() if self._file else 0, "recipe": self._digest()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember how much of the event file belongs to the checkpoint."""
        self._kept = {"bytes": int(state["bytes"]), "recipe": str(state["recipe"])}

    def close(self, trainer: TrainerApi) -> None:
        """Close the event file."""
        if self._file is not None:
            self._file.close()

    def _digest(self) -> str:
        return hashlib.sha256(self.recipe_text.encode()).hexdigest()[:16]
