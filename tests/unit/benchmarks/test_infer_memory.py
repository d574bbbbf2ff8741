"""benchmarks/infer_memory.py: it detects a short peak of memory, and measures the real command."""

from __future__ import annotations

import argparse
import sys

import pytest

from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.trainer.checkpoint import CheckpointStore


@pytest.fixture
def infer_memory():
    import infer_memory

    yield infer_memory
    del sys.modules["infer_memory"]


def test_it_sees_memory_that_is_given_back_and_whose_peak_is_forgotten(infer_memory):
    code = """if True:
        import time
        from pathlib import Path
        held = bytearray(300_000_000)
        time.sleep(0.1)
        del held
        Path("/proc/self/clear_refs").write_text("5")
        time.sleep(0.1)
    """
    watched = infer_memory.watch([sys.executable, "-c", code])
    assert 300e6 < watched.peak_bytes < 400e6
    assert watched.seconds > 0.2


def test_a_command_that_fails_ends_the_benchmark(infer_memory):
    with pytest.raises(SystemExit, match="ended with exit code 3"):
        infer_memory.watch([sys.executable, "-c", "raise SystemExit(3)"])


@pytest.mark.slow
def test_the_whole_benchmark_on_small_pictures(infer_memory, tmp_path, monkeypatch, capsys):
    model = EDSR(2, n_resblocks=1, n_feats=4)
    initialise(model, kaiming_uniform(), 1)
    about = {"model": "edsr", "model_args": {"n_resblocks": 1, "n_feats": 4}, "scale": 2}
    CheckpointStore(tmp_path / "checkpoints", about).save(1, {"model": model.parameters_dict()}, {})
    monkeypatch.setattr(infer_memory, "SIZES", {"1k": (60, 80), "2k": (70, 90)})
    args = argparse.Namespace(weights=tmp_path, sizes=["1k", "2k"], memory="1GB", threads=1, startups=2)
    result = infer_memory.measure("onnxruntime", args, tmp_path)
    assert 0.03 < result["peak_whole_gb"] < 1
    assert result["largest_over_smallest"] == pytest.approx(
        result["peak_2k_gb"] / result["peak_1k_gb"], abs=0.02
    )
    startup = infer_memory.measure_startup(args, tmp_path)
    assert 0 < startup["startup_least"] <= startup["startup_seconds"]
    assert "start-up: median" in capsys.readouterr().out
