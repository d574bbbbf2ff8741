"""A small network, exported and opened: what it computes costs nothing, and how it is run is as in earnest."""

from __future__ import annotations

import copy

import pytest

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
    return open_engine(folder, "onnxruntime", threads=1)


@pytest.fixture
def onnx_engine(opened_onnx: Engine) -> Engine:
    """The same, with what it says of itself free to be changed."""
    engine = copy.copy(opened_onnx)
    engine.about = dict(opened_onnx.about)
    return engine
