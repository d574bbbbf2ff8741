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
    assert numbers["over_model_zoo"] > numbers["over_subimages"] > 1
    assert numbers["patches_per_second"] > 0
