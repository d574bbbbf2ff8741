"""Exported files of one tiny network, shared by the tests of the engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from srtrain.export.write import export
from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.trainer.checkpoint import CheckpointStore

ABOUT = {"model": "edsr", "model_args": {"n_resblocks": 1, "n_feats": 4}, "scale": 2, "recipe_hash": "abc"}


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``run``, a checkpoint at x2, and ``net.onnx``, ``net.mindir`` and ``net.param`` of it."""
    folder = tmp_path_factory.mktemp("exported")
    model = EDSR(2, n_resblocks=1, n_feats=4)
    initialise(model, kaiming_uniform(), seed=2)
    CheckpointStore(folder / "run" / "checkpoints", ABOUT).save(7, {"model": model.parameters_dict()}, {})
    for suffix in (".onnx", ".mindir", ".param"):
        export(folder / "run", folder / f"net{suffix}")
    return folder
