"""Small networks, exported and opened: what they compute costs nothing, and how they are run is as in earnest."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from srtrain.export.write import export
from srtrain.infer.engines import Engine, open_engine
from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.trainer.checkpoint import CheckpointStore

ARGS = {"n_resblocks": 1, "n_feats": 4}


@pytest.fixture(scope="session")
def opened_onnx(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An EDSR x2 that looks 6 px far."""
    folder = tmp_path_factory.mktemp("run")
    model = EDSR(2, **ARGS)
    initialise(model, kaiming_uniform(), 1)
    about = {"model": "edsr", "model_args": ARGS, "scale": 2}
    CheckpointStore(folder / "checkpoints", about).save(1, {"model": model.parameters_dict()}, {})
    return open_engine(export(folder, folder / "edsr_x2.onnx").file, threads=1)


@pytest.fixture
def onnx_engine(opened_onnx: Engine) -> Engine:
    """The same, with what it says of itself free to be changed."""
    engine = copy.copy(opened_onnx)
    engine.about = dict(opened_onnx.about)
    return engine


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``run``, a checkpoint at x2, and ``net.onnx``, ``net.mindir`` and ``net.param`` of it."""
    folder = tmp_path_factory.mktemp("exported")
    model = EDSR(2, **ARGS)
    initialise(model, kaiming_uniform(), seed=2)
    about = {"model": "edsr", "model_args": ARGS, "scale": 2, "recipe_hash": "abc"}
    CheckpointStore(folder / "run" / "checkpoints", about).save(7, {"model": model.parameters_dict()}, {})
    for suffix in (".onnx", ".mindir", ".param"):
        export(folder / "run", folder / f"net{suffix}")
    return folder
