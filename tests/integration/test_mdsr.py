"""A network for several scales that is killed and resumed: the scale of a batch follows from seed and step alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from srtrain.cli.main import main
from srtrain.data.sampler import turn_of

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "mdsr.py"
N_STEPS, SAVED, KILLED = 8, 3, 5
SEED = 2021
SMALL = (
    *("model.n_resblocks=1", "model.n_feats=4", "data.gt_patch_px=16", "data.batch_size=2", f"seed={SEED}"),
    *(f"train.steps={N_STEPS}", "train.log_every=1", "train.mode=pynative", "train.threads=1"),
    *("hooks.evaluate=None", "hooks.self_ensemble=None", "hooks.require_learning=None"),
    f"hooks.checkpoint.every={SAVED}",
)
KILLER = """
import os
import signal

from srtrain.hooks import HOOKS, Hook


@HOOKS.register("kills_itself")
class KillsItself(Hook):
    def after_step(self, trainer, out):
        if trainer.step == STEP:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_killed_and_resumed_it_has_the_same_bits(tmp_path: Path) -> None:
    turns = [turn_of(step, SEED, 3) for step in range(N_STEPS)]
    assert len(set(turns[:SAVED])) > 1  # scales change before the checkpoint that is resumed, and after it
    assert set(turns[SAVED:]) == {0, 1, 2}
    killer = tmp_path / "killer.py"
    killer.write_text(KILLER.replace("STEP", str(KILLED)))
    words = ["run", str(RECIPE), "--smoke", *SMALL]
    killed = [*words, f"run_dir={tmp_path / 'killed'}"]
    command = [sys.executable, "-m", "srtrain", *killed, "--plugin", str(killer), "hooks.killer=kills_itself"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert (tmp_path / "killed" / "checkpoints" / "latest").read_text().strip() == f"step_{SAVED:08}"

    assert main([*killed, "--resume"]) == 0
    assert main([*words, f"run_dir={tmp_path / 'straight'}"]) == 0
    runs = [tmp_path / name for name in ("straight", "killed")]
    for group in ("model", "optimizer"):
        straight, resumed = (
            (run / "checkpoints" / f"step_{N_STEPS:08}" / f"{group}.ckpt").read_bytes() for run in runs
        )
        assert straight == resumed
    curves = [
        [
            (row["step"], row["loss"])
            for row in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        ]
        for run in runs
    ]
    assert [step for step, _ in curves[0]] == list(range(1, N_STEPS + 1))
    assert curves[0] == curves[1]
