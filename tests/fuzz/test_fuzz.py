"""A sample of the cases that fuzz.py runs by hand (docs/testing.md): every family, always the same cases."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fuzz

N_CASES = 63


@pytest.mark.slow
def test_no_damaged_file_ends_in_more_than_an_error(tmp_path):
    words = [
        sys.executable,
        str(Path(__file__).with_name("fuzz.py")),
        "--cases",
        str(N_CASES),
        "--seed",
        "3",
        "--show",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.search(r"\| all \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| 0 \|", done.stdout)
    assert counts is not None, done.stdout
    n_cases, n_good, n_failed, n_refused = map(int, counts.groups())
    assert n_cases == N_CASES == n_good + n_failed + n_refused
    assert n_refused > N_CASES // 4  # the damage is found
