"""The benchmark runs and ends with the numbers that docs/benchmarks.md quotes."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_last_line_is_json(repo_root):
    command = [sys.executable, "benchmarks/data.py", "--pictures", "2", "--rounds", "1"]
    result = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=True)
    numbers = json.loads(result.stdout.splitlines()[-1])
    assert all(numbers[name] > 0 for name in ("over_model_zoo", "over_subimages", "patches_per_second"))
