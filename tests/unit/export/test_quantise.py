"""float16 and int8: the files are smaller, the pictures nearly the same, and the loss is measured."""

import json

import numpy as np
import onnx
import pytest

from srtrain.engines.exported import json_beside
from srtrain.export.options import Options
from srtrain.export.quantise import _Calibration, export_quantised, next_to_pictures
from srtrain.export.write import export
from srtrain.infer.open import open_engine

pytestmark = pytest.mark.slow


@pytest.fixture
def written(checkpoint, tiny, tmp_path, pictures, benchmark_set):
    def write(precision, **sizes):
        return export_quantised(
            checkpoint(**{**tiny, "n_feats": 16}),
            tmp_path / "x.onnx",
            Options(precision=precision, **sizes),
            lambda scale: pictures,
            lambda scale: benchmark_set,
        )

    return write


@pytest.mark.parametrize(("precision", "bytes_each"), [("float16", 2), ("int8", 1)])
def test_the_file_is_smaller_and_says_what_it_costs(written, tmp_path, precision, bytes_each):
    report, cost = written(precision)
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == ["x.onnx", "x.onnx.json"]
    graph = onnx.load(str(report.file)).graph
    wide = {onnx.TensorProto.FLOAT16: 2, onnx.TensorProto.INT8: 1, onnx.TensorProto.FLOAT: 4}
    kernel = max(graph.initializer, key=lambda tensor: np.prod(tensor.dims) * (tensor.data_type in wide))
    body = [t for t in graph.initializer if list(t.dims)[:2] == [16, 16]]
    assert body
    assert {wide[t.data_type] for t in body} == {bytes_each}, kernel.name
    engine = open_engine(report.file)
    assert (engine.about["precision"], engine.scale) == (precision, 2)
    found = json.loads(json_beside(report.file).read_text())
    assert found["cost"] == {
        "psnr": cost.psnr,
        "float32_psnr": cost.float32_psnr,
        "benchmark": "crops",
        "protocol": "paper_y (Y of BT.601, 2 px border, 8 bit)",
    }
    assert found["float32_largest_difference"] <= 1e-3
    assert found["check"]["largest_difference"] > 0
    assert cost.psnr != cost.float32_psnr
    assert abs(cost.psnr - cost.float32_psnr) < 0.5
    assert f"({cost.psnr - cost.float32_psnr:+.3f}) on crops" in str(cost)


def test_fixed_sizes_are_calibrated_and_measured_too(written):
    report, cost = written("int8", input_px=(24, 30), batch=2)
    assert open_engine(report.file).input_px == (24, 30)
    assert cost.psnr > 0


def test_calibration_hands_out_the_pictures_once(pictures):
    reader = _Calibration(pictures, Options())
    shapes = [item["lq"].shape for item in iter(reader.get_next, None)]
    assert shapes == [(1, 3, *pictures.lq(i).shape[:2]) for i in range(2)]
    reader.set_range(1, 2)
    np.testing.assert_array_equal(reader.get_next()["lq"][0], pictures.lq(1).transpose(2, 0, 1))
    assert reader.get_next() is None
    fixed = _Calibration(pictures, Options(input_px=(30, 8), batch=3))
    assert fixed.get_next()["lq"].shape == (3, 3, 30, 8)


def test_what_is_next_to_pictures_keeps_its_bits(checkpoint, tiny, tmp_path):
    source = checkpoint(scale=4, **tiny)
    graph = onnx.load(str(export(source, tmp_path / "plain.onnx", Options(plain=True)).file)).graph
    convolutions = [node.name for node in graph.node if node.op_type == "Conv"]
    assert next_to_pictures(graph) == sorted([convolutions[0], *convolutions[-3:]])


def test_no_part_of_a_collapsed_end_loses_bits(checkpoint, tiny, tmp_path):
    graph = onnx.load(str(export(checkpoint(scale=4, **tiny), tmp_path / "x.onnx").file)).graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    body = [node.name for node in convolutions if shapes[node.input[1]] == [6, 6, 3, 3]]
    assert len(body) == 2 * 2 + 1
    assert next_to_pictures(graph) == sorted({node.name for node in convolutions} - set(body))
