"""NaNs, spikes and damaged weights in real runs: they are skipped, reported, counted and rolled back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from srtrain.cli.main import main
from srtrain.trainer.checkpoint import Checkpoint, CheckpointStore

# What a user could write in a file of their own: a loss that some batches are too much for, a hook that makes
# such batches, and one that spoils the weights as a broken device would.
TROUBLE = '''
import hashlib
import mindspore as ms
import numpy as np
from mindspore import ops
from srtrain.hooks import LAST, Hook
from srtrain.trainer.losses.l1 import L1
from srtrain.models.parameters import put
from srtrain.hooks import HOOKS
from srtrain.trainer.losses import LOSSES


@LOSSES.register("delicate")
class Delicate(L1):
    def construct(self, sr, gt):
        shade = ops.mean(gt)
        not_black = ops.cast(shade > 0, ms.float32)
        return super().construct(sr, gt) * (1 + 1000 * ops.cast(shade == 255, ms.float32)) / not_black


@HOOKS.register("paint")
class Paint(Hook):
    def __init__(self, black: tuple = (), white: tuple = (), rank: int = 0):
        self.colours = {**dict.fromkeys(black, 0), **dict.fromkeys(white, 255)}
        self.rank = rank

    def before_step(self, trainer, batch):
        if trainer.step in self.colours and trainer.backend.rank == self.rank:
            batch.gt[:] = self.colours[trainer.step]


@HOOKS.register("ruin")
class Ruin(Hook):
    order = LAST

    def __init__(self, steps: tuple = ()):
        self.steps = steps

    def after_step(self, trainer, out):
        if trainer.step in self.steps:
            bias = trainer.model.parameters_dict()["tail.bias"]
            put(bias, np.full(bias.shape, np.nan, np.float32))


@HOOKS.register("digest")
class Digest(Hook):
    """Lets each rank say what weights and counts it ended with."""

    def close(self, trainer):
        digest = hashlib.sha256()
        for parameter in (*trainer.model.parameters_dict().values(), *trainer.update.guard.state().values()):
            digest.update(parameter.asnumpy().tobytes())
        (trainer.run_dir / f"digest.{trainer.backend.rank}").write_text(digest.hexdigest())
'''


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin; one file, because a process cannot register its names twice."""
    file = tmp_path_factory.mktemp("plugins") / "trouble.py"
    file.write_text(TROUBLE)
    return file


@pytest.fixture
def run(repo_root: Path, trouble: Path, tmp_path: Path) -> Callable[..., int]:
    """Train a smaller quickstart network on its three pictures, with the given faults."""

    def run(name: str, *more: str) -> int:
        return main(["run", *arguments(repo_root, trouble, tmp_path / name), *more])

    return run


def arguments(repo_root: Path, trouble: Path, run_dir: Path) -> list[str]:
    return [
        *(str(repo_root / "recipes" / "quickstart.py"), f"run_dir={run_dir}"),
        *("--plugin", str(trouble), "loss=delicate"),
        *("model.n_resblocks=1", "model.n_feats=4", "data.gt_patch_px=16", "data.batch_size=4"),
        *("train.log_every=10", "hooks.checkpoint.every=10", "hooks.nan_guard.every=5"),
        *("optim.schedule=constant", "optim.lr=5e-3", "hooks.ema=ema"),
        *("hooks.require_gain=None", "hooks.evaluate=None", "hooks.pictures=None"),
    ]


BY_LINE = "train.mode=pynative"  # what the compiled update does is in the first test and in test_guard.py


def losses(run_dir: Path) -> dict[int, float]:
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line["loss"] for line in lines}


def checkpoint(run_dir: Path, step: int) -> Checkpoint:
    store = CheckpointStore(run_dir / "checkpoints")
    return store.load(store.path(step))


def counts(run_dir: Path, step: int) -> dict[str, float]:
    held = checkpoint(run_dir, step).tensors["optimizer"]
    return {name[6:]: float(value.asnumpy()) for name, value in held.items() if name.startswith("guard.")}


def same_bytes(one: Path, other: Path, step: int) -> bool:
    folders = [run_dir / "checkpoints" / f"step_{step:08d}" for run_dir in (one, other)]
    groups = ("model", "optimizer", "ema")
    return all(
        (folders[0] / f"{g}.ckpt").read_bytes() == (folders[1] / f"{g}.ckpt").read_bytes() for g in groups
    )


@pytest.mark.slow
def test_a_nan_and_a_spike_are_skipped_told_and_counted_and_the_run_learns_on(
    curve, run, tmp_path: Path
) -> None:
    assert (
        run(
            "hurt",
            "train.steps=60",
            "optim.skip_above=5.0",
            "hooks.paint=paint",
            "hooks.paint.black=(12, 13)",
            "hooks.paint.white=(40,)",
        )
        == 0
    )
    hurt = tmp_path / "hurt"
    log = (hurt / "run.log").read_text()
    assert (
        "step 15: 2 bad updates were skipped (2 in all), the last one with a loss of inf, where the running"
        in log
    )
    assert "step 45: 1 bad update was skipped (3 in all), the last one with a loss of " in log
    found = counts(hurt, 60)
    assert (found["bad"], found["bad_in_a_row"], found["accepted"]) == (3, 0, 57)
    assert found["last_bad_loss"] > 5 * found["mean_loss"]
    assert curve(hurt, "train/skipped_steps") == {20: 2, 30: 2, 40: 2, 50: 3, 60: 3}
    loss = losses(hurt)
    assert np.isfinite(list(loss.values())).all()
    assert loss[60] < 0.7 * loss[10]
    assert all(np.isfinite(t.asnumpy()).all() for t in checkpoint(hurt, 60).tensors["model"].values())


@pytest.mark.slow
def test_a_resume_after_a_skip_is_exact(run, tmp_path: Path) -> None:
    trouble = (
        BY_LINE,
        "optim.skip_above=5.0",
        "hooks.paint=paint",
        "hooks.paint.black=(7, 9, 15)",
        "hooks.paint.white=(24,)",
    )
    assert run("straight", "train.steps=30", *trouble) == 0
    assert run("parts", "train.steps=10", *trouble) == 0
    assert run("parts", "train.steps=30", *trouble, "--resume") == 0
    assert counts(tmp_path / "parts", 10)["bad_in_a_row"] == 1  # the end of a part is saved in doubt too
    assert same_bytes(tmp_path / "straight", tmp_path / "parts", 30)
    assert losses(tmp_path / "straight") == losses(tmp_path / "parts")
    assert counts(tmp_path / "parts", 30)["bad"] == 4


@pytest.mark.slow
def test_spoilt_weights_go_back_to_the_checkpoint_and_the_run_recovers_the_same_way_when_resumed(
    curve, run, tmp_path: Path
) -> None:
    trouble = (
        "hooks.checkpoint.keep=9",
        "hooks.nan_guard.patience=4",
        "hooks.ruin=ruin",
        "hooks.ruin.steps=(23,)",
    )
    assert run("straight", "train.steps=60", *trouble) == 0
    log = (tmp_path / "straight" / "run.log").read_text()
    assert (
        "7 updates in a row were skipped up to step 30, the last with a loss of nan: rolled back to step_00000020 "
        "(rollback 1 of 3); training continues at step 30 with other pictures"
    ) in log
    assert curve(tmp_path / "straight", "train/rollbacks") == {30: 1, 40: 1, 50: 1, 60: 1}
    at_20, at_30 = (checkpoint(tmp_path / "straight", step).tensors["model"] for step in (20, 30))
    assert all(np.array_equal(at_30[name].asnumpy(), value.asnumpy()) for name, value in at_20.items())
    loss = losses(tmp_path / "straight")
    assert loss[60] < loss[20]
    assert run("parts", "train.steps=40", *trouble) == 0
    assert run("parts", "train.steps=60", *trouble, "--resume") == 0
    assert same_bytes(tmp_path / "straight", tmp_path / "parts", 60)


@pytest.mark.slow
def test_a_run_that_cannot_be_helped_ends_with_advice(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble = (BY_LINE, "hooks.nan_guard.patience=3", "hooks.nan_guard.max_rollbacks=2", "hooks.ruin=ruin")
    assert run("lost", "train.steps=200", *trouble, "hooks.ruin.steps=(11, 21, 31)") == 1
    message = capsys.readouterr().err
    assert "after 2 rollbacks. The last good checkpoint is " in message
    assert "try a lower optim.lr, optim.clip_norm=0.5, or a smaller model.res_scale" in message
    store = CheckpointStore(tmp_path / "lost" / "checkpoints")
    assert store.steps() == [10, 20, 30]
    for step in store.steps():
        tensors = store.load(store.path(step)).tensors
        for group in ("model", "ema"):
            assert all(np.isfinite(t.asnumpy()).all() for t in tensors[group].values())


@pytest.mark.slow
def test_two_ranks_skip_alike_though_only_one_of_them_met_the_nan(
    repo_root: Path, trouble: Path, tmp_path: Path
) -> None:
    trouble_on_rank_1 = ("hooks.paint=paint", "hooks.paint.rank=1", "hooks.paint.black=(3, 4)")
    run_dir = tmp_path / "two"
    command = [
        *(sys.executable, "-m", "srtrain.cli", "launch", "-n", "2"),
        *arguments(repo_root, trouble, run_dir),
        "train.steps=6",
        "train.log_every=1",
        *trouble_on_rank_1,
    ]
    subprocess.run(
        [*command, "hooks.nan_guard.every=1", "hooks.digest=digest"], check=True, cwd=tmp_path, timeout=300
    )
    for log in ("run.log", "run.rank1.log"):
        text = (run_dir / log).read_text()
        assert "step 4: 1 bad update was skipped (1 in all), the last one with a loss of inf" in text
        assert "step 5: 1 bad update was skipped (2 in all), the last one with a loss of inf" in text
    digests = [(run_dir / f"digest.{rank}").read_text() for rank in (0, 1)]
    assert digests[0] == digests[1]


def test_a_limit_that_would_skip_ordinary_updates_is_refused(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("refused", "train.steps=5", "optim.skip_above=0.9") == 2
    assert "optim.skip_above = 0.9 must be above 1" in capsys.readouterr().err
