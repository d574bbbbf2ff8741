"""A short version of the torture, which docs/reliability.md describes: one process, few kills."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked, which this system cannot do")
def test_killed_and_resumed_runs_leave_what_an_uninterrupted_run_leaves(tmp_path):
    script = Path(__file__).with_name("torture.py")
    done = subprocess.run(
        [
            sys.executable,
            str(script),
            "--kills",
            "6",
            "--only",
            "train",
            "--seed",
            "1",
            "--work",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 kills in" in done.stdout
    assert "0 differences or failures" in done.stdout
