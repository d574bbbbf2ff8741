"""Sheets of evaluated pictures in the run folder: low-resolution, bicubic, ours, ground truth."""

from __future__ import annotations

from srtrain.arrays import UInt8
from srtrain.data.picture import write_png
from srtrain.data.resize import imresize
from srtrain.hooks import base
from srtrain.hooks.base import Hook
from srtrain.registry import HOOKS
from srtrain.sheet import Panel, comparison_sheet
from srtrain.trainer.trainer import Trainer
from srtrain.trainer.types import EvalResult, Example


@HOOKS.register("pictures")
class PicturesHook(Hook):
    """Writes ``pictures/<benchmark>_<picture>.png`` after each evaluation, the newest over the older."""

    order = base.LOG

    def after_eval(self, trainer: Trainer, result: EvalResult) -> None:
        """Write a sheet for each picture the evaluation hands on."""
        if trainer.backend.rank == 0:
            folder = trainer.run_dir / "pictures"
            folder.mkdir(exist_ok=True)
            for example in result.examples:
                write_png(folder / f"{result.tag}_{example.name}.png", sheet_of(example, result.protocol))


def sheet_of(example: Example, protocol: str) -> UInt8:
    """Return uint8 HWC RGB: the four pictures side by side with their PSNR."""
    height, width = example.gt.shape[:2]
    bicubic = imresize(example.lq, shape=(height, width))
    score = example.score
    panels = [
        Panel("low-resolution", example.lq, f"{example.lq.shape[1]} x {example.lq.shape[0]}"),
        Panel("bicubic", bicubic, f"PSNR {score.bicubic_psnr:.2f} dB"),
        Panel("ours", example.sr, f"PSNR {score.psnr:.2f} dB"),
        Panel("ground truth", example.gt, f"{width} x {height}"),
    ]
    return comparison_sheet(panels, footer=f"{example.name}: PSNR as {protocol}.")
