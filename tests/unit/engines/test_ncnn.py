"""ncnn: two files, one picture at a time, for any memory layout of the input."""

import shutil

import numpy as np
import pytest

from srtrain.errors import CheckpointError
from srtrain.infer.open import open_engine

pytestmark = pytest.mark.slow


@pytest.fixture
def files(exported, tmp_path):
    for name in ("net.param", "net.bin", "net.param.json"):
        shutil.copy(exported / name, tmp_path)
    return tmp_path


def test_pictures_in_any_memory_layout_are_understood(exported):
    engine, reference = open_engine(exported / "net.param"), open_engine(exported / "net.onnx")
    nhwc = np.random.default_rng(0).uniform(0, 255, (2, 45, 34, 3)).astype(np.float32)
    lq = nhwc.transpose(0, 3, 1, 2)
    for view in (lq, lq[..., ::-1, 3:], lq[:1, :, ::2]):
        np.testing.assert_allclose(engine(view), reference(np.ascontiguousarray(view)), atol=1e-3)


def test_the_weights_have_to_be_beside_it(files):
    (files / "net.bin").unlink()
    with pytest.raises(CheckpointError, match=r"net\.param' needs the file 'net\.bin' beside it"):
        open_engine(files / "net.param")


def test_weights_cut_short_are_refused(files):
    whole = (files / "net.bin").read_bytes()
    (files / "net.bin").write_bytes(whole[:100])
    with pytest.raises(CheckpointError, match="are not an ncnn network, or are damaged"):
        open_engine(files / "net.param")


def test_without_the_json_the_scale_is_measured(files):
    (files / "net.param.json").unlink()
    engine = open_engine(files / "net.param", value_range="0-255")  # random weights have no range
    assert engine.scale == 2
    assert "foreign" in engine.about


def test_a_json_that_is_damaged_is_named(files):
    (files / "net.param.json").write_text('{"about"')
    with pytest.raises(CheckpointError, match=r"net\.param\.json' is damaged"):
        open_engine(files / "net.param")
