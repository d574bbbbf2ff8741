"""On a real card: training at each level, data sinking, exact resume, recovery from an overflow, several cards.

pytest -m ascend tests/device
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mindspore.device_context import ascend

N_CARDS = ascend.device_count() if ascend.is_available() else 0

pytestmark = [
    pytest.mark.ascend,
    pytest.mark.skipif(N_CARDS == 0, reason="needs an Ascend card, and MindSpore finds none"),
]

Run = Callable[..., Path]


@pytest.fixture
def run(repo_root: Path, tmp_path: Path) -> Run:
    """Train the quickstart's network on the card in a separate process; return the run folder."""

    def run(name: str, *more: str, n_cards: int = 1) -> Path:
        run_dir = tmp_path / name
        tool = ["launch.py", "-n", str(n_cards)] if n_cards > 1 else ["run.py"]
        command = [
            *(sys.executable, str(repo_root / "tools" / tool[0]), *tool[1:]),
            str(repo_root / "recipes" / "quickstart.py"),
            *(f"run_dir={run_dir}", "--plugin", "ascend", "device=ascend"),
            *("train.steps=60", "train.log_every=10", "hooks.checkpoint.every=20", "optim.schedule=constant"),
            *("hooks.require_gain=None", "hooks.evaluate=None", "hooks.pictures=None"),
            *more,
        ]
        subprocess.run(command, check=True, timeout=1800)
        return run_dir

    return run


def numbers(run_dir: Path, name: str) -> list[float]:
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    return [line[name] for line in lines if name in line]


def same_weights(one: Path, other: Path, step: int = 60) -> bool:
    files = [folder / "checkpoints" / f"step_{step:08d}" / "model.ckpt" for folder in (one, other)]
    return files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("level", ["O0", "O1", "O2", "O3", "auto"])
def test_each_level_learns(run: Run, level: str) -> None:
    losses = numbers(run("run", f"precision={level}"), "loss")
    assert losses[-1] < 0.7 * losses[0]


def test_the_memory_of_the_card_is_in_the_log(run: Run) -> None:
    assert 0 < numbers(run("run"), "peak_memory_gb")[-1] < 64


def test_sinking_gives_the_weights_of_single_steps(run: Run) -> None:
    assert same_weights(run("single", "precision=O3"), run("sunk", "precision=O3", "train.sink_steps=10"))


@pytest.mark.parametrize("sink_steps", [1, 10])
def test_a_resume_is_exact(run: Run, sink_steps: int) -> None:
    scale = ("precision=O2", "precision.loss_scale=dynamic", "precision.window=5")
    sink = f"train.sink_steps={sink_steps}"
    whole = run("whole", *scale, sink)
    run("parts", *scale, sink, "train.steps=40")
    parts = run("parts", *scale, sink, "train.steps=60", "--resume")
    assert same_weights(whole, parts)
    assert numbers(whole, "loss_scale") == numbers(parts, "loss_scale")


def test_a_scale_that_is_too_high_comes_down_and_training_goes_on(run: Run) -> None:
    run_dir = run(
        "run", "precision=O3", "precision.loss_scale=dynamic", "train.log_every=1", "optim.clip_norm=1.0"
    )
    scales, skipped = numbers(run_dir, "loss_scale"), numbers(run_dir, "skipped_steps")
    for i in range(1, len(scales)):
        assert scales[i] == (scales[i - 1] / 2 if skipped[i] > skipped[i - 1] else scales[i - 1])
    assert numbers(run_dir, "loss")[-1] < numbers(run_dir, "loss")[0]


def test_a_profile_has_the_operators_of_the_card(run: Run) -> None:
    run_dir = run("run", "hooks.profile=profile", "hooks.profile.first=11", "hooks.profile.last=13")
    files = {path.name for path in (run_dir / "profile").rglob("*") if path.is_file()}
    assert {"trace_view.json", "kernel_details.csv"} <= files


@pytest.mark.skipif(N_CARDS < 2, reason=f"needs two Ascend cards; there are {N_CARDS}")
def test_two_cards_learn_what_one_does(run: Run) -> None:
    one, two = numbers(run("one"), "loss"), numbers(run("two", n_cards=2), "loss")
    assert two == pytest.approx(one, rel=0.02)
