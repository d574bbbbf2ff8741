"""One interface to networks; the engine is chosen by file suffix, by name, or as the fastest one."""

import os
import subprocess
import sys

import numpy as np
import pytest

from srtrain.engines import ENGINES
from srtrain.engines import engine as engine_module
from srtrain.engines.engine import Engine
from srtrain.errors import CheckpointError, DeviceError, ExportError, UnknownNameError
from srtrain.export import onnx_graph as onnx_export
from srtrain.infer import open as open_module
from srtrain.infer.open import open_engine
from srtrain.models.upscale import Upscaler
from srtrain.trainer.checkpoint import CheckpointStore

ABOUT = {"model": "edsr", "model_args": {"n_resblocks": 1, "n_feats": 4}, "scale": 3}
LQ = np.random.default_rng(0).uniform(0, 255, (2, 3, 7, 10)).astype(np.float32)


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path, monkeypatch):
    """Give each test its own cache of exports."""
    monkeypatch.setenv("SRTRAIN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run_folder(new_model, tmp_path):
    """A run with one checkpoint of a tiny network at x3, and the network."""
    source = new_model(3, seed=3)
    CheckpointStore(tmp_path / "run" / "checkpoints", ABOUT).save(5, {"model": source.parameters_dict()}, {})
    return tmp_path / "run", Upscaler(source)


@pytest.mark.slow
def test_a_run_folder_is_run_by_mindspore_when_that_is_named(run_folder):
    path, reference = run_folder
    engine = open_engine(path, "mindspore")
    assert (engine.name, engine.scale, engine.about["step"], engine.input_px) == ("mindspore", 3, 5, None)
    assert engine.path == path
    np.testing.assert_array_equal(engine(LQ), reference(LQ))
    np.testing.assert_allclose(engine(LQ[:1]), reference(LQ)[:1], atol=1e-3)


def test_a_run_folder_is_run_by_the_fastest_engine_when_nobody_says(run_folder, capfd):
    path, reference = run_folder
    engine = open_engine(path, threads=1)
    assert (engine.name, engine.scale, engine.about["step"], engine.path) == ("native", 3, 5, path)
    np.testing.assert_allclose(engine(LQ), reference(LQ), atol=1e-3)
    assert "once" in capfd.readouterr().err
    open_engine(path)
    assert capfd.readouterr().err == ""


def test_without_onnxruntime_it_is_mindspore_and_what_is_missing_is_named(run_folder, monkeypatch):
    path, _ = run_folder
    missing = {"ncnn", "onnxruntime"}
    real = engine_module.find_spec
    for module in (engine_module, open_module):
        monkeypatch.setattr(module, "find_spec", lambda name: None if name in missing else real(name))
    monkeypatch.setattr(open_module, "instruction_set", lambda: "portable")  # on which ONNX Runtime is faster
    assert open_engine(path).name == "mindspore"
    with pytest.raises(
        DeviceError, match=r"'ncnn' needs the package 'ncnn', .*: pip install 'srtrain\[ncnn\]'"
    ):
        open_engine(path, "ncnn")


def test_a_network_that_onnx_cannot_express_goes_to_mindspore_and_it_is_said(run_folder, monkeypatch, capfd):
    path, _ = run_folder

    def refuse(source, target):
        raise ExportError("the operator of Oddity ('x') is not translated.")

    monkeypatch.setattr(open_module, "instruction_set", lambda: "portable")
    with monkeypatch.context() as patch:
        patch.setattr(onnx_export, "simplify", refuse)
        assert open_engine(path).name == "mindspore"
    assert "onnxruntime cannot run" in capfd.readouterr().err
    with pytest.raises(ExportError, match="operator of Oddity"):  # remembered
        open_engine(path, "onnxruntime")


def test_a_plugins_engine_is_known_by_its_name_and_handed_the_file(tmp_path, monkeypatch):
    class Mirror(Engine):
        """Returns its input."""

        name = "mirror"
        scale = 1

        def __init__(self, path, threads=0):
            self.path, self.about = path, {"threads": threads}

        def __call__(self, lq):
            return lq

    monkeypatch.setitem(ENGINES._entries, "mirror", Mirror)
    (tmp_path / "x.mirror").write_text("")
    assert open_engine(tmp_path / "x.mirror", "mirror", threads=3).about == {"threads": 3}
    with pytest.raises(UnknownNameError, match="Did you mean 'mirror'"):
        open_engine(tmp_path, engine="miror")


def test_what_no_engine_reads_is_refused(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"gone' does not exist\. Give a run folder, a step_… folder, a weights file"
    ):
        open_engine(tmp_path / "gone")
    (tmp_path / "x.txt").write_text("text")
    with pytest.raises(CheckpointError, match=r"x\.txt' ends in '\.txt', which no engine reads"):
        open_engine(tmp_path / "x.txt")
    with pytest.raises(
        UnknownNameError, match=r"'mindspor'\. Did you mean 'mindspore'\?.*auto, mindir, mindsp"
    ):
        open_engine(tmp_path, engine="mindspor")
    (tmp_path / "x.onnx").write_text("text")
    with pytest.raises(
        CheckpointError,
        match=r"'ncnn' cannot read .*: it reads \.param\. The engine for this file is 'onnxruntime'",
    ):
        open_engine(tmp_path / "x.onnx", "ncnn")
    with pytest.raises(CheckpointError, match=r"gone\.onnx' does not exist"):
        open_engine(tmp_path / "gone.onnx", "onnxruntime")


def test_mindspore_lite_says_where_it_is_to_be_had(tmp_path):
    if ENGINES.get("mindspore_lite").is_installed():
        pytest.skip("MindSpore Lite is installed here")
    (tmp_path / "x.mindir").write_bytes(b"")
    with pytest.raises(DeviceError, match=r"'mindspore_lite', which is not installed: .*mindspore\.cn/lite"):
        open_engine(tmp_path / "x.mindir", "mindspore_lite")


@pytest.mark.parametrize(
    "module", ["infer.open", "engines.onnxruntime", "engines.ncnn", "engines.mindir_file"]
)
def test_what_runs_exported_files_imports_neither_mindspore_nor_numba(module):
    code = (
        f"import sys, srtrain.{module}\n"
        "print([name for name in ('mindspore', 'numba', 'scipy', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("suffix", [".onnx", ".param", ".mindir", ".ckpt", ".npz", ""])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    with pytest.raises(CheckpointError, match=rf"pipe{suffix}' is not a regular file"):
        open_engine(tmp_path / f"pipe{suffix}")


@pytest.mark.parametrize("name", [b"Conv", b"srtrain", b"input"])
def test_an_onnx_file_whose_names_are_not_utf_8(opened_onnx, tmp_path, name):
    data = opened_onnx.path.read_bytes()
    assert name in data
    (tmp_path / "net.onnx").write_bytes(data.replace(name, b"\xef" + name[1:]))
    with pytest.raises(CheckpointError, match=r"net\.onnx"):
        open_engine(tmp_path / "net.onnx")
