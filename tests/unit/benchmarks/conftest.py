"""The scripts in benchmarks/ as modules; their folder is on the path, as when they are run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _benchmarks_on_path(repo_root, monkeypatch) -> Iterator[None]:
    # A benchmark takes this from PyTorch, and MindSpore in this process needs it back.
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", os.environ["ONEDNN_MAX_CPU_ISA"])
    monkeypatch.syspath_prepend(str(repo_root / "benchmarks"))
    before = set(sys.modules)
    yield
    for name in {"curves", "torch_edsr"} - before:
        sys.modules.pop(name, None)
