"""The translation of ONNX operators to ncnn's layers: ncnn's results are compared with ONNX Runtime's."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from srtrain.errors import UnsupportedError
from srtrain.export.ncnn_graph import write_ncnn
from srtrain.export.write import export
from srtrain.infer.open import open_engine

LQ = np.random.default_rng(3).uniform(0, 255, (2, 3, 13, 29)).astype(np.float32)


def run(file):
    """Run a file without metadata, whose network is no super-resolution, so that its range cannot be measured."""
    return open_engine(file, value_range="0-255")(LQ)


def graph_of(nodes, file, constants=()):
    """Write an ONNX file that maps ``x`` to ``y``."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None, "h", "w"]) for name in "xy"]
    value[0].type.tensor_type.shape.dim[1].dim_value = 3
    tensors = [numpy_helper.from_array(array, name) for name, array in constants]
    graph = helper.make_graph(nodes, "g", value[:1], value[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), str(file))
    return file


@pytest.mark.slow
def test_every_operator_computes_what_onnx_says(odd_networks, checkpoint, tmp_path):
    source = checkpoint("supported")
    export(source, tmp_path / "x.onnx")
    export(source, tmp_path / "x.param")
    np.testing.assert_allclose(
        open_engine(tmp_path / "x.param")(LQ), open_engine(tmp_path / "x.onnx")(LQ), atol=2e-3
    )
    lines = (tmp_path / "x.param").read_text().splitlines()
    kinds = {line.split()[0] for line in lines[2:]}
    wanted = "Bias BinaryOp Concat Convolution ConvolutionDepthWise Crop PixelShuffle ReLU Slice Split"
    assert {*wanted.split()} <= kinds
    assert int(lines[1].split()[0]) == len(lines) - 2


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_both_orders_of_a_pixel_shuffle(tmp_path, mode):
    weight = np.random.default_rng(0).normal(size=(12, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2, mode=mode),
    ]
    file = graph_of(nodes, tmp_path / "x.onnx", [("w", weight)])
    write_ncnn(file, tmp_path / "x.param")
    np.testing.assert_allclose(run(tmp_path / "x.param"), run(file), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("shape", [(), (1, 3, 1, 1), (3, 1, 1)])
def test_constants_for_all_or_for_each_channel(tmp_path, kind, shape):
    value = np.random.default_rng(0).uniform(1, 2, shape).astype(np.float32)
    file = graph_of([helper.make_node(kind, ["x", "c"], ["y"])], tmp_path / "x.onnx", [("c", value)])
    write_ncnn(file, tmp_path / "x.param")
    np.testing.assert_allclose(run(tmp_path / "x.param"), run(file), rtol=1e-5)


def test_a_leaky_relu_of_two_operators(tmp_path):
    nodes = [
        helper.make_node("Sub", ["x", "half"], ["z"]),
        helper.make_node("Mul", ["z", "slope"], ["small"]),
        helper.make_node("Max", ["z", "small"], ["y"]),
    ]
    constants = [("half", np.float32(128)), ("slope", np.float32(0.05))]
    file = graph_of(nodes, tmp_path / "x.onnx", constants)
    write_ncnn(file, tmp_path / "x.param")
    np.testing.assert_allclose(run(tmp_path / "x.param"), run(file), rtol=1e-5)


def test_attention_over_the_whole_picture(tmp_path):
    """The standard deviation of each channel, as a factor of it."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[2, 3]),
        helper.make_node("Sub", ["x", "mean"], ["offset"]),
        helper.make_node("Mul", ["offset", "offset"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["variance"], axes=[-2, -1]),
        helper.make_node("Sqrt", ["variance"], ["deviation"]),
        helper.make_node("Sigmoid", ["deviation"], ["weight"]),
        helper.make_node("Mul", ["x", "weight"], ["y"]),
    ]
    file = graph_of(nodes, tmp_path / "x.onnx")
    write_ncnn(file, tmp_path / "x.param")
    np.testing.assert_allclose(run(tmp_path / "x.param"), run(file), rtol=1e-4, atol=1e-3)


def test_a_maximum_is_pooled_and_enlarged_to_the_size_of_another_tensor(tmp_path):
    nodes = [
        helper.make_node("MaxPool", ["x"], ["small"], kernel_shape=[7, 5], strides=[3, 2]),
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Resize", ["small", "", "", "sizes"], ["large"], mode="linear"),
        helper.make_node("Sub", ["x", "large"], ["y"]),
    ]
    file = graph_of(nodes, tmp_path / "x.onnx")
    write_ncnn(file, tmp_path / "x.param")
    np.testing.assert_allclose(run(tmp_path / "x.param"), run(file), rtol=1e-4, atol=1e-3)


def test_kernels_strides_and_paddings_that_are_not_square(tmp_path):
    weight = np.random.default_rng(0).normal(size=(3, 3, 3, 5)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[2, 1, 0, 3], dilations=[1, 1])
    file = graph_of([node], tmp_path / "x.onnx", [("w", weight)])
    write_ncnn(file, tmp_path / "x.param")
    # 13 x 29 stays: a height of 3 with 2 above, a width of 5 with 1 left and 3 right
    np.testing.assert_allclose(run(tmp_path / "x.param"), run(file), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (
            helper.make_node("Erf", ["x"], ["y"]),
            r"the operator of Erf \('y'\) is not translated .*onnxruntime",
        ),
        (helper.make_node("Concat", ["x", "x"], ["y"], axis=2), "axis 2 of Concat"),
        (helper.make_node("Sub", ["c", "x"], ["y"]), "a constant left operand of Sub"),
        (helper.make_node("Max", ["x", "c", "x"], ["y"]), "the number of operands, 3, of Max"),
        (helper.make_node("Max", ["x", "each"], ["y"]), "a constant for each channel of Max"),
        (helper.make_node("ReduceMean", ["x"], ["y"], axes=[1]), r"the axes \[1\] of ReduceMean"),
        (helper.make_node("Resize", ["x", "", "two"], ["y"]), "a size of Resize"),
        (helper.make_node("Mul", ["x", "row"], ["y"]), r"a constant of shape \(1, 1, 1, 4\) of Mul"),
        (helper.make_node("Slice", ["x", "at", "end", "axis"], ["y"]), r"a range 1:2:1 of axis 2 of Slice"),
        (helper.make_node("Conv", ["x", "x"], ["y"]), "a computed kernel of Conv"),
        (helper.make_node("Gather", ["x", "x"], ["y"], axis=1), "a computed order of Gather"),
        (helper.make_node("Gather", ["x", "swapped"], ["y"], axis=1), "a selection of channels of Gather"),
        (helper.make_node("Gather", ["x", "swapped"], ["y"], axis=2), "axis 2 of Gather"),
        (
            helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], ceil_mode=1),
            "a padding of AveragePool",
        ),
        (
            helper.make_node("Conv", ["x", "row"], ["y"], auto_pad="SAME_LOWER"),
            "the padding SAME_LOWER of Conv",
        ),
    ],
)
def test_what_is_not_translated_is_named(tmp_path, node, words):
    constants = [
        ("c", np.float32([[[[5]]]])),
        ("row", np.ones((1, 1, 1, 4), np.float32)),
        ("each", np.ones((1, 3, 1, 1), np.float32)),
        ("two", np.float32([1, 1, 2, 2])),
        ("swapped", np.array([0, 2, 1])),
        *((name, np.array([number])) for name, number in (("at", 1), ("end", 2), ("axis", 2))),
    ]
    file = graph_of([node], tmp_path / "x.onnx", constants)
    with pytest.raises(UnsupportedError, match=words):
        write_ncnn(file, tmp_path / "x.param")
