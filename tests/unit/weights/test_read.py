"""Weights are read from a run, a checkpoint or a file, and the network is built from their metadata."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.errors import CheckpointError
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.weights import edsr_pytorch, is_weights_file
from srtrain.weights.read import build_model, read_weights

ABOUT = {"model": "edsr", "model_args": {"n_resblocks": 1, "n_feats": 4, "rgb_mean": [0, 0, 0]}, "scale": 2}


@pytest.fixture
def source(new_model):
    return new_model(seed=3)


@pytest.fixture
def checkpoint(source, tmp_path):
    return CheckpointStore(tmp_path / "checkpoints", ABOUT).save(5, {"model": source.parameters_dict()}, {})


@pytest.mark.parametrize("given", ["run", "checkpoint", "file"])
def test_a_network_comes_back_as_it_was_saved(given, source, checkpoint, tmp_path, weights_of):
    path = {"run": tmp_path, "checkpoint": checkpoint, "file": checkpoint / "model.ckpt"}[given]
    weights = read_weights(path)
    assert weights.about["step"] == 5
    model = build_model(weights)
    for name, value in weights_of(source).items():
        np.testing.assert_array_equal(weights_of(model)[name], value)
    np.testing.assert_array_equal(model.add_mean.shift.asnumpy(), np.zeros((1, 3, 1, 1)))  # args are used


def test_a_file_without_its_state_cannot_be_built(source, tmp_path):
    file = tmp_path / "bare.ckpt"
    ms.save_checkpoint(source, str(file))
    with pytest.raises(CheckpointError, match=r"bare\.ckpt' does not say its model and scale.*step_… folder"):
        build_model(read_weights(file))


def test_a_ckpt_file_of_lightning_is_known_by_its_content(tmp_path, source):
    """Such a file is PyTorch's; tests/unit/weights/test_torch_file.py has what else Lightning puts into it."""
    file = tmp_path / "epoch=3-step=400.ckpt"
    tensors = {name: value.asnumpy() for name, value in source.parameters_dict().items()}
    edsr_pytorch.write(tmp_path / "a.pt", tensors, ABOUT)
    (tmp_path / "a.pt").rename(file)
    weights = read_weights(file)
    assert is_weights_file(file)
    assert not is_weights_file(tmp_path)
    for name, value in source.parameters_dict().items():
        np.testing.assert_array_equal(weights.tensors[name], value.asnumpy())
    build_model(weights)


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    file = tmp_path / "picture.ckpt"
    file.write_bytes(b"\x89PNG nothing of the kind")
    with pytest.raises(
        CheckpointError, match=r"picture\.ckpt' is not a MindSpore checkpoint that can be read"
    ):
        read_weights(file)


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ({"n_feats": None}, "n_feats = None is None, but must be int"),
        ({"n_feats": float("inf")}, "n_feats = inf is a float, but must be int"),
        ({"rgb_mean": [0.5]}, "rgb_mean = .* does not fit model.n_colors = 3"),
        ({"rgb_mean": "grey"}, "rgb_mean = .* must be tuple"),
        ({"n_feats": -1}, ""),
        ({"depth": 3}, "takes no argument 'depth'"),
        ({"block": {"spec": 3, "args": {}}}, "is no name with arguments"),
    ],
)
def test_arguments_that_no_network_takes_are_named_with_the_file(checkpoint, argument, reason):
    weights = read_weights(checkpoint)
    weights.about["model_args"] |= argument
    with pytest.raises(
        CheckpointError,
        match=rf"the network 'edsr' for the weights in '.*model\.ckpt' cannot be built: .*{reason}",
    ):
        build_model(weights)
