"""Export from a checkpoint to every format at every scale; a file is complete or not there."""

import json
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
import pytest

from srtrain.device.backend import Backend
from srtrain.engines.exported import json_beside
from srtrain.errors import CheckpointError, DataError, DeviceError, ExportError, RunFolderError, UserError
from srtrain.export.format import Format
from srtrain.export.options import Options
from srtrain.export.write import export
from srtrain.infer.open import open_engine
from srtrain.models.upscale import Upscaler
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.weights.read import build_model, read_weights

LQ = np.random.default_rng(3).uniform(0, 255, (2, 3, 13, 29)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "scale"), [*((s, n) for s in (".onnx", ".param") for n in (2, 3, 4)), (".mindir", 4)]
)
def test_the_file_computes_what_the_checkpoint_does(checkpoint, tiny, tmp_path, suffix, scale):
    source = checkpoint(scale=scale, **tiny)
    report = export(source, tmp_path / f"x{suffix}")
    engine = open_engine(report.file)
    expected = Upscaler(build_model(read_weights(source)))(LQ)
    np.testing.assert_allclose(engine(LQ), expected, atol=1e-3)
    assert (engine.scale, engine.about) == (scale, json.loads(json.dumps(report.about)))
    found = json.loads(json_beside(report.file).read_text())
    assert found["about"]["recipe_hash"] == "0123456789abcdef"
    assert (
        found["check"]["largest_difference"] == report.difference.largest <= found["check"]["limit"] == 1e-3
    )
    assert [1, 1, 1] in found["check"]["shapes"]
    names = {"x" + end for end in (suffix, f"{suffix}.json", *([".bin"] if suffix == ".param" else []))}
    written = [file for file in tmp_path.iterdir() if file.is_file()]
    assert {file.name for file in written} == names
    assert {file.stat().st_mode & 0o777 for file in written} == {0o644}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".mindir"])
def test_any_network_can_be_exported(odd_networks, checkpoint, tmp_path, suffix):
    source = checkpoint("oddments")
    engine = open_engine(export(source, tmp_path / f"x{suffix}").file)
    np.testing.assert_allclose(engine(LQ), Upscaler(build_model(read_weights(source)))(LQ), atol=1e-3)


def test_the_score_of_the_best_checkpoint_is_in_the_file(checkpoint, tiny, tmp_path):
    source = checkpoint(**tiny)
    score = {"metric": "psnr/set5", "value": 30.5, "protocol": "paper_y (Y of BT.601, 2 px border, 8 bit)"}
    CheckpointStore(source.parent).mark_best(10, **score)
    assert open_engine(export(source, tmp_path / "x.onnx").file).about["score"] == score


def test_onnx_has_symbolic_shapes_and_nothing_superfluous(checkpoint, tiny, tmp_path):
    graph = onnx.load(str(export(checkpoint(scale=4, **tiny), tmp_path / "x.onnx", Options(plain=True)).file))
    assert [dim.dim_param or dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim] == [
        "batch",
        3,
        "height",
        "width",
    ]
    assert [dim.dim_param or dim.dim_value for dim in graph.graph.output[0].type.tensor_type.shape.dim] == [
        "batch",
        3,
        "4*height",
        "4*width",
    ]
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds[:2] == ["Add", "Conv"]  # the mean is one operator; the one put back is in the last bias
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "Add": 1 + 2 + 1,
        "Conv": 1 + 4 + 1 + 2 + 1,
        "Relu": 2,
        "DepthToSpace": 2,
    }
    assert [opset.domain for opset in graph.opset_import] == [""]


def test_the_end_is_one_convolution_unless_it_shall_stay_or_the_format_keeps_it(checkpoint, tiny, tmp_path):
    source = checkpoint(scale=4, **tiny)
    ends = {}
    for name, options in (
        ("x.onnx", Options()),
        ("plain.onnx", Options(plain=True)),
        ("x.param", Options()),
        ("x.native", Options()),
    ):
        report = export(source, tmp_path / name, options)
        ends[name] = open_engine(report.file).about["linear_end"]
    assert ends == {"x.onnx": "collapsed", "plain.onnx": "plain", "x.param": "plain", "x.native": "collapsed"}
    shuffles = {
        name: [node.op_type for node in onnx.load(str(tmp_path / name)).graph.node].count("DepthToSpace")
        for name in ("x.onnx", "plain.onnx")
    }
    assert shuffles == {"x.onnx": 1, "plain.onnx": 2}


@pytest.mark.parametrize("suffix", [".onnx", ".param"])
def test_a_padding_that_differs_on_each_side_is_written_in_the_order_of_the_format(
    odd_networks, checkpoint, tmp_path, suffix
):
    source = checkpoint("lopsided")
    engine = open_engine(export(source, tmp_path / f"x{suffix}").file)
    np.testing.assert_allclose(engine(LQ), Upscaler(build_model(read_weights(source)))(LQ), atol=1e-3)


def test_fixed_sizes_are_in_the_file(checkpoint, tiny, tmp_path):
    source = checkpoint(**tiny)
    report = export(source, tmp_path / "x.onnx", Options(input_px=(8, 6), batch=2))
    shape = onnx.load(str(report.file)).graph.output[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [2, 3, 16, 12]
    assert report.difference.shapes == ((2, 8, 6),)


def test_a_size_that_is_baked_in_is_refused(odd_networks, checkpoint, tmp_path):
    with pytest.raises(ExportError, match=r"cannot be run: [^$]* use srtrain\.models\.blocks\.PixelShuffle"):
        export(checkpoint("baked"), tmp_path / "x.onnx")
    assert not list(tmp_path.glob("*x.onnx*"))


def test_a_network_that_onnx_cannot_hold_is_one_error_and_runs_on_mindspore(
    odd_networks, checkpoint, tmp_path, capsys
):
    source = checkpoint("resized")
    for name in ("x.onnx", "x.param"):
        with pytest.raises(ExportError, match=r"MindSpore cannot write this network as ONNX: .*Resize"):
            export(source, tmp_path / name)
    assert not list(tmp_path.glob("*x.*"))
    engine = open_engine(source)
    assert engine.name == "mindspore"
    assert "note: onnxruntime cannot run" in capsys.readouterr().err
    assert engine(np.zeros((1, 3, 4, 5), np.float32)).shape == (1, 3, 8, 10)


def test_a_file_that_differs_is_not_kept(checkpoint, tiny, tmp_path, monkeypatch):
    source = checkpoint(**tiny)
    target = tmp_path / "x.onnx"
    target.write_text("the older one")
    real = Format.fold

    def wrong(format_, model, plain):
        model.tail.bias.set_data(model.tail.bias + 0.01)
        return real(format_, model, plain)

    monkeypatch.setattr(Format, "fold", wrong)
    with pytest.raises(
        ExportError, match=r"differs from .* by 0\.01 grey levels, but only 0\.001 is allowed"
    ):
        export(source, target, overwrite=True)
    assert target.read_text() == "the older one"
    assert not json_beside(target).exists()


def test_an_existing_file_is_replaced_only_when_told(checkpoint, tiny, tmp_path):
    source, target = checkpoint(**tiny), tmp_path / "x.onnx"
    target.write_text("precious")
    with pytest.raises(RunFolderError, match=r"x\.onnx' exists\. Add --overwrite"):
        export(source, target)
    assert target.read_text() == "precious"
    export(source, target, overwrite=True)
    assert open_engine(target).scale == 2


def test_what_cannot_be_written_is_refused_before_the_checkpoint_is_read(tmp_path):
    with pytest.raises(UserError, match="ncnn files accept every size, one picture at a time"):
        export(tmp_path / "there is no checkpoint", tmp_path / "x.param", Options(input_px=(4, 4)))


def test_a_checkpoint_that_does_not_say_its_network_is_refused(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", {"scale": 2})
    source = store.save(1, {}, {})
    (source / "model.ckpt").write_bytes(b"")
    with pytest.raises(CheckpointError):
        export(source, tmp_path / "x.onnx")


def test_a_folder_that_cannot_be_made_is_named(checkpoint, tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write .*file/x\.onnx"):
        export(checkpoint(**tiny), tmp_path / "file" / "x.onnx")


@pytest.mark.usefixtures("pynative")
def test_air_claims_the_card_once_and_no_other_device(checkpoint, tiny, tmp_path, monkeypatch, capsys):
    """The calls in their order; MindSpore refuses a second ``set_device`` with another device."""
    calls = []

    def claim(target, device_id=None):
        calls.append(("set_device", target))

    def write_air(model, x, file_name, file_format):
        calls.append(("export", file_format, x.shape))
        Path(file_name).write_bytes(b"air")

    monkeypatch.setattr(ms.hal, "is_available", lambda target: target == "Ascend")
    monkeypatch.setattr(ms, "set_device", claim)
    monkeypatch.setattr(ms, "export", write_air)
    monkeypatch.setattr(Backend, "started", False)
    export(checkpoint(**tiny), tmp_path / "x.air", Options(input_px=(8, 8), batch=1))
    assert calls == [("set_device", "Ascend"), ("export", "AIR", (1, 3, 8, 8))]
    assert (tmp_path / "x.air").read_bytes() == b"air"
    assert "note: MindSpore has deprecated AIR" in capsys.readouterr().err


def test_air_is_refused_in_a_process_that_computes_on_another_device(checkpoint, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(ms.hal, "is_available", lambda target: True)
    with pytest.raises(
        DeviceError, match=r"this process computes on CPU, and the file can be written on Ascend only"
    ):
        export(checkpoint(**tiny), tmp_path / "x.air", Options(input_px=(8, 8), batch=1))
