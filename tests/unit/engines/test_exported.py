"""Shared by the engines of exported files: metadata, files exported by other programs, fixed sizes."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from srtrain.errors import CheckpointError, DataError
from srtrain.export.options import Options
from srtrain.export.write import export
from srtrain.infer.open import open_engine

pytestmark = pytest.mark.slow

SUFFIXES = (".onnx", ".mindir", ".param")


def foreign(file, scale, height="h", width="w", batch="n"):
    """Write an ONNX file without our metadata, which repeats each pixel."""
    shape = [batch, 3, height, width]
    node = helper.make_node("Upsample", ["x", "scales"], ["y"], mode="nearest")
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, scale, scale])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [scales],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4), str(file))
    return file


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_file_says_what_it_is(exported, suffix):
    engine = open_engine(exported / f"net{suffix}")
    assert (engine.scale, engine.input_px) == (2, None)
    about = engine.about
    assert (about["model"], about["model_args"]) == ("edsr", {"n_resblocks": 1, "n_feats": 4})
    assert (about["recipe_hash"], about["step"], about["precision"]) == ("abc", 7, "float32")
    assert about["receptive_px"] == 6
    assert "RGB in [0, 255]" in about["input"]
    assert "foreign" not in about


@pytest.mark.parametrize("scale", [2, 3])
def test_of_the_files_of_others_the_scale_is_measured(tmp_path, scale):
    engine = open_engine(foreign(tmp_path / "x.onnx", scale))
    assert engine.scale == scale
    assert f"scale {scale}, values in [0, 255] (measured)" in engine.about["foreign"]
    lq = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    np.testing.assert_array_equal(engine(lq), lq.repeat(scale, 2).repeat(scale, 3))


def test_of_the_files_of_others_a_fixed_size_is_found(tmp_path):
    engine = open_engine(foreign(tmp_path / "x.onnx", 2, height=5, width=4, batch=2))
    assert (engine.scale, engine.input_px, engine.batch) == (2, (5, 4), 2)


def test_what_is_no_super_resolution_is_refused(exported, tmp_path):
    model = onnx.load(str(export(exported / "run", tmp_path / "net.onnx", Options(plain=True)).file))
    del model.metadata_props[:]
    strides = next(a for a in model.graph.node[-1].attribute if a.name == "strides")
    strides.CopyFrom(helper.make_attribute("strides", [2, 1]))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("sr", TensorProto.FLOAT, None))
    onnx.save(model, str(tmp_path / "odd.onnx"))
    with pytest.raises(CheckpointError, match=r"to \(1, 3, 64, 128\)\. A super-resolution network"):
        open_engine(tmp_path / "odd.onnx")


@pytest.mark.parametrize("suffix", [".onnx", ".mindir"])
def test_a_fixed_batch_is_filled_and_cut(exported, tmp_path, suffix):
    file = tmp_path / f"two{suffix}"
    export(exported / "run", file, Options(input_px=(6, 9), batch=2))
    engine, free = open_engine(file), open_engine(exported / f"net{suffix}")
    assert (engine.input_px, engine.batch) == ((6, 9), 2)
    lq = np.random.default_rng(1).uniform(0, 255, (3, 3, 6, 9)).astype(np.float32)
    np.testing.assert_allclose(engine(lq), free(lq), atol=1e-4)
    with pytest.raises(DataError, match=r"accepts only pictures of 6 x 9 px .*, not 9 x 6\. Use tiles"):
        engine(lq.transpose(0, 1, 3, 2).copy())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_file_is_named(exported, tmp_path, suffix):
    whole = (exported / f"net{suffix}").read_bytes()
    file = tmp_path / f"half{suffix}"
    file.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "half.bin").write_bytes((exported / "net.bin").read_bytes())
    with pytest.raises(CheckpointError, match=rf"half\{suffix}'"):
        open_engine(file)


@pytest.mark.parametrize(
    ("suffix", "engine"), [(".onnx", "onnxruntime"), (".mindir", "mindir"), (".param", "ncnn")]
)
def test_a_folder_is_no_exported_file(tmp_path, suffix, engine):
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(
        CheckpointError, match=rf"is not a file\. The engine '{engine}' reads \{suffix} files"
    ):
        open_engine(folder, engine)


LIMITED = """
import resource, sys
import numpy as np
from srtrain.infer.open import open_engine
engine = open_engine(sys.argv[1], sys.argv[2], threads=1)
engine(np.zeros((1, 3, 8, 8), np.float32))
lq = np.zeros((1, 3, 4000, 4000), np.float32)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 2**29, held + 2**29))
try:
    engine(lq)
except MemoryError as error:
    print("MemoryError", error)
"""


@pytest.mark.parametrize("engine", ["onnxruntime", "ncnn", "mindir", "mindspore"])
def test_too_large_a_picture_is_a_memory_error(exported, engine):
    """Each of 4 feature maps of 4000 x 4000 px is 64 MB, and there are four times as many after the upsampler."""
    file = {"onnxruntime": "net.onnx", "ncnn": "net.param", "mindir": "net.mindir", "mindspore": "run"}[
        engine
    ]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(exported / file), engine],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("MemoryError"), done.stderr
