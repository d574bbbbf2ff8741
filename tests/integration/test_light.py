"""IMDN and RFDN: every export computes what MindSpore computes, and the authors' weights reach their scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from srtrain_plugins.light import IMDN, RFDN

from srtrain.cli.main import main
from srtrain.infer.open import open_engine
from srtrain.trainer.checkpoint import CheckpointStore

pytestmark = pytest.mark.slow

NETWORKS = {"imdn": IMDN, "rfdn": RFDN}
ARGS = {"n_blocks": 1, "n_feats": 16}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_engine_computes_the_same_at_every_size(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """RFDN pads pictures below 15 px. The exports themselves also compare with the checkpoint."""
    about = {"model": name, "model_args": ARGS, "scale": 2, "plugins": ["light"]}
    model = NETWORKS[name](2, **ARGS)
    CheckpointStore(tmp_path / "run" / "checkpoints", about).save(0, {"model": model.parameters_dict()}, {})
    reference = open_engine(tmp_path / "run", "mindspore")
    for suffix in ("onnx", "mindir", "param"):
        file = tmp_path / f"{name}.{suffix}"
        assert main(["export", str(tmp_path / "run"), "--to", str(file), "--plugin", "light"]) == 0
        engine = open_engine(file)
        for size in ((1, 1), (14, 31), (15, 15), (40, 33)):
            lq = np.random.default_rng(1).uniform(0, 255, (1, 3, *size)).astype(np.float32)
            wanted = reference(lq)
            assert np.abs(engine(lq) - wanted).max() < 1e-3 * max(1, np.abs(wanted).max() / 255), (
                suffix,
                size,
            )
    capsys.readouterr()
    open_engine(tmp_path / "run")  # the fastest engine
    assert f"cannot run the network: {NETWORKS[name].__name__} has no form" in capsys.readouterr().err


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("weights", "scores"),
    [
        ("IMDN/IMDN_x2", {"set5": 37.996}),
        ("IMDN/IMDN_x3", {"set5": 34.360}),
        ("IMDN/IMDN_x4", {"set5": 32.210, "set14": 28.582}),
        ("RFDN/RFDN_x4", {"set5": 32.159, "set14": 28.645}),
    ],
)
def test_the_authors_weights_reach_the_scores_that_they_have_in_pytorch(
    weights: str, scores: dict[str, float], shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = weights.split("/")[0].lower()
    words = [
        "evaluate",
        str(shared_data / "weights" / f"{weights}.pth"),
        "--model",
        name,
        "--plugin",
        "light",
    ]
    assert main([*words, "--sets", *scores, "--root", str(shared_data), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["set"]: row["psnr"] for row in rows} == pytest.approx(scores, abs=0.0015)
