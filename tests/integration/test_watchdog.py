"""A run with one process that stops making progress. For several processes see test_distributed.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HOOK = """
import time
from srtrain.hooks import Hook
from srtrain.hooks import HOOKS

@HOOKS.register("hang")
class Hang(Hook):
    def after_step(self, trainer, out):
        if trainer.step == 2:
            time.sleep(600)
"""


@pytest.mark.slow
def test_a_run_that_hangs_ends_with_its_stacks(repo_root: Path, tmp_path: Path) -> None:
    (tmp_path / "hang.py").write_text(HOOK)
    run_dir = tmp_path / "run"
    words = [str(repo_root / "recipes" / "quickstart.py"), f"run_dir={run_dir}", "train.mode=pynative"]
    tiny = [
        "model.n_feats=4",
        "model.n_resblocks=1",
        "data.gt_patch_px=16",
        "data.batch_size=2",
        "train.log_every=1",
    ]
    hang = ["--plugin", str(tmp_path / "hang.py"), "hooks.hang=hang", "hooks.watchdog.seconds=10"]
    result = subprocess.run(
        [sys.executable, "-m", "srtrain.cli", "run", *words, *tiny, *hang],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 75, result.stdout
    stacks = run_dir / "run.rank0.stacks.log"
    said = (
        "no progress for 10 s (hooks.watchdog.seconds), in update 2, or in a hook after it; "
        f"the stacks of all threads are in {stacks}"
    )
    assert said in result.stdout
    assert said in (run_dir / "run.log").read_text()
    assert "in after_step" in stacks.read_text()
