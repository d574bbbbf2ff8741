"""Write ``metrics.jsonl``: one line of JSON for each logging step and each evaluation."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from srtrain.evaluation.results import EvalResult, finite
from srtrain.files import write_whole
from srtrain.files.json_file import Whole, checked
from srtrain.hooks import HOOKS
from srtrain.trainer.api import StepOutput, TrainerApi
from srtrain.trainer.hook import LOG, Hook
from srtrain.trainer.owned import own

own("metrics.jsonl")


@HOOKS.register("metrics")
class MetricsHook(Hook):
    """Appends numbers to ``metrics.jsonl``; a resumed run first deletes the lines after its checkpoint."""

    order = LOG
    state_key = "metrics"

    def __init__(self) -> None:
        self._file: Path | None = None
        self._kept_bytes: int | None = None

    def before_train(self, trainer: TrainerApi) -> None:
        """Choose the file, and delete the lines that were written after the checkpoint."""
        self._file = trainer.run_dir / "metrics.jsonl" if trainer.backend.rank == 0 else None
        if self._file is not None and self._file.exists():
            lines = self._file.read_bytes()[: self._kept_bytes].splitlines()
            write_whole(
                self._file, b"".join(line + b"\n" for line in lines if _step_of(line) <= trainer.step)
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the size of the file, all of which is then on the disk."""
        if self._file is None or not self._file.exists():
            return {"bytes": 0}
        with self._file.open("ab") as file:
            os.fsync(file.fileno())
            return {"bytes": file.tell()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember how much of the file belongs to the checkpoint."""
        self._kept_bytes = int(state["bytes"])

    def after_step(self, trainer: TrainerApi, out: StepOutput) -> None:
        """Write the numbers of a logging step."""
        if trainer.log_due:
            self._write({"step": trainer.step, **trainer.log.scalars})

    def after_eval(self, trainer: TrainerApi, result: EvalResult) -> None:
        """Write the scores of one benchmark."""
        self._write(
            {
                "step": trainer.step,
                "benchmark": result.benchmark,
                "method": result.method,
                "protocol": result.protocol,
                "n_pictures": result.n_pictures,
                "psnr": result.psnr,
                "ssim": result.ssim,
                "bicubic_psnr": result.bicubic_psnr,
                "seconds": result.seconds,
                **({"left_out": result.left_out} if result.left_out else {}),
            }
        )

    def _write(self, record: dict[str, Any]) -> None:
        if self._file is not None:
            values = {
                name: finite(value) for name, value in record.items()
            }  # JSON has no NaN and no infinity
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values, allow_nan=False) + "\n")


def _step_of(line: bytes) -> float:
    """Return the step of a line, or infinity for a line that a kill cut short or damage changed."""
    try:
        return float(checked(line, {"step": Whole()})["step"])
    except ValueError:
        return float("inf")
