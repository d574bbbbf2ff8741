"""The engine that runs our own convolutions: the same pictures as the other engines."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from srtrain.engines.native_graph import Conv, Sum, translate
from srtrain.errors import CheckpointError, UnsupportedError
from srtrain.export.write import export
from srtrain.infer.open import open_engine

pytestmark = pytest.mark.slow

LIMIT = 0.01  # grey levels: F(4,3) rounds more than a direct sum


@pytest.mark.parametrize(
    ("scale", "args"),
    [
        (2, {"n_resblocks": 2, "n_feats": 12, "res_scale": 0.1}),
        (3, {"n_resblocks": 1, "n_feats": 16}),
        (4, {"n_resblocks": 1, "n_feats": 5}),
    ],
)
def test_it_agrees_with_onnx_runtime_at_all_sizes(checkpoint, tmp_path, scale, args):
    file = export(checkpoint("edsr", scale, **args), tmp_path / "net.onnx").file
    native, reference = (open_engine(file, name, threads=1) for name in ("native", "onnxruntime"))
    assert (native.scale, native.about["model"]) == (scale, "edsr")
    generator = np.random.default_rng(0)
    for n, height, width in ((1, 1, 1), (2, 5, 4), (1, 1, 9), (1, 33, 26), (1, 5, 4)):
        lq = generator.uniform(0, 255, (n, 3, height, width)).astype(np.float32)
        np.testing.assert_allclose(native(lq), reference(lq), atol=LIMIT)


def test_a_checkpoint_is_exported_for_it(checkpoint, tiny):
    source = checkpoint(**tiny)
    lq = np.random.default_rng(1).uniform(0, 255, (1, 3, 12, 15)).astype(np.float32)
    np.testing.assert_allclose(
        open_engine(source, "native")(lq), open_engine(source, "mindspore")(lq), atol=LIMIT
    )


def test_what_follows_a_convolution_alone_is_joined_to_it(checkpoint, tmp_path):
    file = export(checkpoint("edsr", 2, n_resblocks=2, n_feats=8), tmp_path / "net.onnx").file
    steps = translate(onnx.load(str(file))).steps
    convolutions = [step for step in steps if isinstance(step, Conv)]
    assert len(steps) == 1 + len(convolutions)  # the mean colour, and nothing else
    assert [step.relu for step in convolutions] == [False, True, False, True, False, False, False, False]
    assert [len(step.reads) for step in convolutions] == [1, 1, 2, 1, 2, 2, 1, 1]
    assert [step.shuffle for step in convolutions] == [1, 1, 1, 1, 1, 1, 2, 1]


def _network(*nodes, constants=()):
    """Return a model from ``lq`` to ``sr``, both with 3 channels."""
    value = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, None, None]) for name in ("lq", "sr")
    ]
    weights = [
        helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.ravel()) for name, array in constants
    ]
    return helper.make_model(helper.make_graph(list(nodes), "net", value[:1], value[1:], weights))


WEIGHT = ("w", np.random.default_rng(3).standard_normal((3, 3, 3, 3)).astype(np.float32) / 5)


def test_sums_and_constants_that_no_convolution_takes_in(tmp_path):
    scale = ("c", np.array([2, 3, 4], np.float32).reshape(3, 1, 1))
    model = _network(
        helper.make_node("Mul", ["lq", "c"], ["a"]),
        helper.make_node("Add", ["lq", "a"], ["b"]),
        helper.make_node("Conv", ["b", "w"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("Sub", ["d", "c"], ["e"]),
        helper.make_node("Add", ["e", "d"], ["sr"]),
        constants=[WEIGHT, scale],
    )
    assert [type(step) for step in translate(model).steps].count(Sum) == 2
    onnx.save(model, str(tmp_path / "net.onnx"))
    native, reference = (
        open_engine(tmp_path / "net.onnx", name, value_range="0-255") for name in ("native", "onnxruntime")
    )
    lq = np.random.default_rng(0).uniform(0, 255, (2, 3, 9, 6)).astype(np.float32)
    np.testing.assert_allclose(native(lq), reference(lq), rtol=1e-4, atol=LIMIT)


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (helper.make_node("Sigmoid", ["lq"], ["sr"]), r"the operator of Sigmoid \('sr'\) is not translated"),
        (helper.make_node("Conv", ["lq", "w"], ["sr"], pads=[0, 0, 0, 0]), "a kernel of 3 x 3 with"),
        (
            helper.make_node("Conv", ["lq", "w"], ["sr"], pads=[1, 1, 1, 1], strides=[2, 2]),
            "a kernel of 3 x 3 with",
        ),
        (helper.make_node("Conv", ["lq", "lq"], ["sr"], pads=[1, 1, 1, 1]), "computed weights"),
    ],
)
def test_what_it_cannot_run_is_named(node, says):
    with pytest.raises(UnsupportedError, match=says):
        translate(_network(node, constants=[WEIGHT]))


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no protobuf" * 9)
    with pytest.raises(CheckpointError, match=r"net\.onnx' is no ONNX file that can be read"):
        open_engine(tmp_path / "net.onnx", "native")
