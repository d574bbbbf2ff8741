"""The lines on the console."""

import re

import pytest

from srtrain.hooks.evaluate import EvaluateHook
from srtrain.hooks.lr import LrHook
from srtrain.hooks.timing import TimingHook
from srtrain.hooks.writers.console import ConsoleHook, duration, line
from srtrain.trainer.schedules.constant import constant


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00:00"), (59.6, "00:01:00"), (3661, "01:01:01"), (86_399, "23:59:59"), (90_061, "1d 01:01:01")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_line_has_its_numbers_in_order_whatever_order_they_came_in():
    scalars = {
        "my_number": 0.25,
        "peak_memory_gb": 1.234,
        "eta_seconds": 61.0,
        "data_wait": 0.0123,
        "pictures_per_second": 99.96,
        "lr": 2e-4,
        "loss": 12.34567,
    }
    assert line(150, 300_000, scalars) == (
        "step 150/300000  loss 12.3457  lr 0.0002  100.0 pictures/s  data wait 1.2%  ETA 00:01:01  peak 1.23 GB  "
        "my_number 0.25"
    )
    assert "my_number" in scalars
    assert line(1, 2, {}) == "step 1/2"


def test_a_run_reads_from_top_to_bottom(make_trainer, benchmark_set, evaluator):
    trainer = make_trainer([TimingHook(), LrHook(constant(), 0.001), ConsoleHook()], 4, log_every=2)
    trainer.hooks.insert(2, EvaluateHook([benchmark_set], evaluator(trainer), 4))
    trainer.train()
    lines = [text.split(" ", 3)[3] for text in (trainer.run_dir / "run.log").read_text().splitlines()]
    number = r"-?\d+\.\d+"
    numbers = rf"loss {number}  lr 0\.001  {number} pictures/s  data wait {number}%  ETA 00:00:0\d  peak {number} GB"
    shapes = [
        rf"run folder {trainer.run_dir}; 4 updates to go; compiling the first one",
        rf"first update done {number} s after start-up, including compilation",
        rf"step 2/4  {numbers}",
        rf"step 4  crops \(plain\): PSNR {number} dB, SSIM {number}, bicubic {number} dB, gain {number} dB  "
        r"\[2 pictures, paper_y .*\]",
        rf"step 4/4  {numbers}",
        rf"finished at step 4 of 4; checkpoints in {trainer.store.folder}",
        rf"best psnr/crops = {number} dB at step 4, paper_y .*",
        rf"PSNR on crops: ours {number} dB, bicubic {number} dB, gain {number} dB, paper_y .*, plain",
    ]
    lines = [text for text in lines if "of the time is spent waiting" not in text]
    assert len(lines) == len(shapes)
    for text, shape in zip(lines, shapes, strict=True):
        assert re.fullmatch(shape, text), f"{text!r} is not {shape!r}"


def test_a_stop_is_said_with_its_reason(make_trainer):
    trainer = make_trainer([ConsoleHook()], 9)
    trainer.request_stop("SIGTERM")
    trainer.train()
    assert "stopped by SIGTERM at step 0 of 9; checkpoints in" in (trainer.run_dir / "run.log").read_text()
