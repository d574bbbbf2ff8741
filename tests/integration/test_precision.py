"""Mixed precision on a CPU from the command line: it learns, overflows, recovers, resumes and ends."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from srtrain.cli.main import main
from srtrain.trainer.checkpoint import CheckpointStore

# A loss whose gradient overflows in float16 where all targets are white, though it is finite itself; a hook that
# paints them; a block with batch norm.
PARTS = """
import mindspore as ms
from mindspore import nn, ops
from srtrain.hooks import Hook
from srtrain.trainer.losses.l1 import L1
from srtrain.models import BLOCKS
from srtrain.hooks import HOOKS
from srtrain.trainer.losses import LOSSES


@LOSSES.register("shout")
class Shout(L1):
    def construct(self, sr, gt):
        return super().construct(sr, gt) * (1 + 1e6 * ops.cast(ops.mean(gt) == 255, ms.float32))


@HOOKS.register("whiten")
class Whiten(Hook):
    def __init__(self, steps: tuple):
        self.steps = steps

    def before_step(self, trainer, batch):
        if trainer.step in self.steps:
            batch.gt[:] = 255


@BLOCKS.register("normalised")
class Normalised(nn.Cell):
    def __init__(self, n_feats: int, kernel_px: int = 3, res_scale: float = 1.0):
        super().__init__()
        self.norm = nn.BatchNorm2d(n_feats)

    def construct(self, x):
        return x + self.norm(x)
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin; one file, because a process cannot register its names twice."""
    file = tmp_path_factory.mktemp("plugins") / "precision_parts.py"
    file.write_text(PARTS)
    return file


@pytest.fixture
def run(repo_root: Path, parts: Path, tmp_path: Path) -> Callable[..., int]:
    """Train a smaller quickstart network on its three pictures."""

    def run(name: str, *more: str) -> int:
        return main(
            [
                *("run", str(repo_root / "recipes" / "quickstart.py"), f"run_dir={tmp_path / name}"),
                *("--plugin", "ascend", "--plugin", str(parts)),
                *("model.n_resblocks=1", "model.n_feats=4", "data.gt_patch_px=16", "data.batch_size=4"),
                *("train.log_every=1", "hooks.checkpoint.every=10", "optim.schedule=constant"),
                *("hooks.require_gain=None", "hooks.evaluate=None", "hooks.pictures=None"),
                *more,
            ]
        )

    return run


def numbers(run_dir: Path, name: str) -> list[float]:
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    return [line[name] for line in lines if name in line]


@pytest.mark.slow
def test_a_dynamic_scale_moves_is_shown_and_resumes_exactly(curve, run, tmp_path: Path) -> None:
    dynamic = ("precision=O2", "precision.loss_scale=dynamic", "precision.window=3")
    assert run("straight", "train.steps=24", *dynamic) == 0
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    scales, skipped = numbers(straight, "loss_scale"), numbers(straight, "skipped_steps")
    assert len(scales) == 24
    assert any(after == 2 * before for before, after in itertools.pairwise(scales))
    assert skipped[-1] > 0
    assert list(curve(straight, "train/loss_scale").values()) == scales
    assert list(curve(straight, "train/skipped_steps").values()) == skipped
    assert f"loss_scale {scales[-1]:g}" in (straight / "run.log").read_text()

    assert run("parts", "train.steps=11", *dynamic) == 0
    assert run("parts", "train.steps=24", *dynamic, "--resume") == 0
    for name in ("loss", "loss_scale", "skipped_steps"):
        assert numbers(parts, name) == numbers(straight, name)
    for group in ("model", "optimizer"):
        files = [d / "checkpoints" / "step_00000024" / f"{group}.ckpt" for d in (straight, parts)]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("level", ["O1", "O3", "auto"])
def test_an_overflow_halves_the_scale_skips_the_update_and_training_goes_on(
    run, level, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    overflow = (
        "loss=shout",
        "hooks.whiten=whiten",
        "hooks.whiten.steps=(12,)",
        "hooks.checkpoint.every=1",
    )
    scale = (f"precision={level}", "precision.loss_scale=dynamic", "hooks.checkpoint.keep=40")
    assert run("run", "train.steps=30", *scale, *overflow) == 0
    scales, skipped, losses = (numbers(run_dir, name) for name in ("loss_scale", "skipped_steps", "loss"))
    assert losses[12] > 1e6
    assert scales[12] == scales[11] / 2
    assert skipped[12] == skipped[11] + 1
    assert skipped[-1] == skipped[12]
    assert losses[-1] < losses[11]
    store = CheckpointStore(run_dir / "checkpoints")
    weights = [(store.path(step) / "model.ckpt").read_bytes() for step in (12, 13, 14)]
    assert weights[0] == weights[1] != weights[2]
    assert "bad update" not in (run_dir / "run.log").read_text()


@pytest.mark.slow
def test_a_run_that_only_overflows_ends_with_advice(run, capsys: pytest.CaptureFixture[str]) -> None:
    scale = (
        "train.mode=pynative",
        "precision=O2",
        "precision.loss_scale=1e38",
        "hooks.loss_scale.stop_after=5",
    )
    assert run("run", "train.steps=30", *scale) == 1
    assert (
        "step 5: overflowing gradients skipped the last 5 updates; the loss scale is 1e+38. Lower it "
        "(precision.loss_scale=128, or dynamic), lower optim.lr, or train in float32 (precision=float32)."
    ) in capsys.readouterr().err


def test_a_network_with_batch_norm_is_refused_at_o3(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "train.steps=3", "precision=O3", "model.block=normalised") == 2
    message = capsys.readouterr().err
    assert "precision = 'O3' runs every layer in float16, and EDSR has BatchNorm2d" in message
    assert "Use precision=O2" in message


def test_sinking_needs_a_card(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "train.steps=20", "train.sink_steps=10") == 2
    message = capsys.readouterr().err
    assert "train.sink_steps = 10: device = 'cpu' has no queue for batches" in message
    assert "Leave it at 1." in message


@pytest.mark.slow
def test_a_profile_of_some_steps_is_in_the_run_folder(run, tmp_path: Path) -> None:
    words = ("hooks.profile=profile", "hooks.profile.first=2", "hooks.profile.last=3")
    # One operator of our own kernels would show no convolution.
    assert run("run", "train.steps=4", "device.kernels=plain", *words) == 0
    (trace,) = (tmp_path / "run" / "profile").rglob("trace_view.json")
    assert "Conv2D" in trace.read_text()


@pytest.mark.slow
def test_200_steps_at_o2_and_o3_end_where_float32_does(run, tmp_path: Path) -> None:
    """The learning rate falls to 0. With a constant high rate, any rounding changes the result by tenths of a dB."""
    arguments = (
        "train.steps=200",
        "train.log_every=50",
        "hooks.evaluate=evaluate",
        "hooks.evaluate.every=200",
    )
    schedule = ("optim.lr=2e-3", "optim.schedule=cosine", "optim.schedule.warmup=20")
    network = ("model.n_resblocks=2", "model.n_feats=16", "data.gt_patch_px=32")
    scores = {}
    for level in ("O0", "O2", "O3"):
        assert run(level, f"precision={level}", *arguments, *schedule, *network) == 0
        (scores[level],) = numbers(tmp_path / level, "psnr")
    assert scores["O2"] == pytest.approx(scores["O0"], abs=0.1)
    assert scores["O3"] == pytest.approx(scores["O0"], abs=0.1)
    assert scores["O0"] > 33
    assert numbers(tmp_path / "O2", "loss") != numbers(tmp_path / "O0", "loss")


@pytest.mark.slow
def test_200_steps_in_bfloat16_end_where_float32_does(run, tmp_path: Path) -> None:
    """At lr=2e-3, single runs end up to 0.033 dB apart in either direction (plugins/ascend/README.md)."""
    schedule = ("optim.lr=5e-4", "optim.schedule=cosine", "optim.schedule.warmup=20", "train.log_every=50")
    network = ("model.n_resblocks=2", "model.n_feats=16", "data.gt_patch_px=32", "train.steps=200")
    evaluate = ("hooks.evaluate=evaluate", "hooks.evaluate.every=200", "hooks.checkpoint.every=200")
    for name, *level in (("O0", "precision=O0"), ("O1", "precision=O1", "precision.dtype=bfloat16")):
        assert run(name, *schedule, *network, *evaluate, *level) == 0
    (expected,), (score,) = numbers(tmp_path / "O0", "psnr"), numbers(tmp_path / "O1", "psnr")
    assert score == pytest.approx(expected, abs=0.02)
    assert numbers(tmp_path / "O1", "loss") != numbers(tmp_path / "O0", "loss")


@pytest.mark.slow
def test_a_dump_has_the_tensors_of_the_update(repo_root: Path, tmp_path: Path) -> None:
    """In a process of its own, because MindSpore reads the configuration once."""
    words = [
        *("run", str(repo_root / "recipes" / "quickstart.py"), f"run_dir={tmp_path / 'run'}"),
        *("--plugin", "ascend", "hooks.dump=dump", "hooks.dump.operators=('Conv2D',)"),
        *("model.n_resblocks=1", "model.n_feats=4", "data.gt_patch_px=16", "data.batch_size=4"),
        *("hooks.require_gain=None", "hooks.evaluate=None", "hooks.pictures=None", "train.steps=2"),
        "device.kernels=plain",  # otherwise the body is one operator of our own
    ]
    subprocess.run([sys.executable, "-m", "srtrain", *words], check=True, timeout=600)
    shapes = {np.load(file).shape for file in (tmp_path / "run" / "dump").rglob("*.npy")}
    assert {(4, 4, 8, 8), (4, 4, 3, 3)} <= shapes  # feature maps and weights of the body


def test_a_dump_that_cannot_work_is_refused_and_leaves_nothing(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = ("train.steps=2", "train.mode=pynative", "hooks.dump=dump")
    assert run("run", *hook, "hooks.dump.overflow_only=True") == 2
    assert "hooks.dump.overflow_only = True works on Ascend cards only" in capsys.readouterr().err
    assert run("run", *hook, "hooks.dump.runs=''") == 2
    assert "hooks.dump.runs is empty" in capsys.readouterr().err
    monkeypatch.setenv("MINDSPORE_DUMP_CONFIG", "/other.json")
    assert run("run", *hook) == 2
    assert "MINDSPORE_DUMP_CONFIG is set to '/other.json'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
