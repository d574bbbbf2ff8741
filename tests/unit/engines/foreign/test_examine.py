"""Networks of other software: range of values, layout, numbers and sizes are found, or refused by name."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from srtrain.data.resize import imresize
from srtrain.engines.tiles import Tiled
from srtrain.errors import CheckpointError, RecipeError
from srtrain.infer.open import open_engine

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
NCHW, NHWC = ["n", 3, "h", "w"], ["n", "h", "w", 3]


def node(kind, *inputs, **attributes):
    return kind, inputs, attributes


def cast(to):
    return node("Cast", to=to)


def clip(low, high):
    return node("Clip", np.float32(low), np.float32(high))


DOUBLE = node(
    "Resize",
    None,
    np.array([1, 1, 2, 2], np.float32),
    mode="nearest",
    coordinate_transformation_mode="asymmetric",
    nearest_mode="floor",
)
TO_NCHW, TO_NHWC = node("Transpose", perm=[0, 3, 1, 2]), node("Transpose", perm=[0, 2, 3, 1])
BLOCKS_OF_8 = (node("SpaceToDepth", blocksize=8), node("DepthToSpace", blocksize=8))


def network(file, *steps, shape=NCHW, dtype=FLOAT, out_dtype=FLOAT):
    """Write a chain of operators; each gets the output of the one before and its own constants."""
    nodes, constants, last = [], [], "x"
    for i, (kind, inputs, attributes) in enumerate(steps):
        names = [last]
        for k, value in enumerate(inputs):
            names.append("" if value is None else f"c{i}_{k}")
            if value is not None:
                constants.append(numpy_helper.from_array(np.asarray(value), names[-1]))
        last = f"t{i}"
        nodes.append(helper.make_node(kind, names, [last], **attributes))
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info(last, out_dtype, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(file))
    return file


@pytest.fixture
def write(tmp_path):
    return lambda *steps, **how: network(tmp_path / "x.onnx", *steps, **how)


def picture(height, width, n=1):
    return np.random.default_rng(3).uniform(0, 255, (n, 3, height, width)).astype(np.float32)


def doubled(lq):
    return lq.repeat(2, 2).repeat(2, 3)


def times(factor):
    return node("Mul", np.float32(factor))


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((DOUBLE,), "[0, 255]"),  # works in any range
        ((DOUBLE, clip(0, 255)), "[0, 255]"),
        ((DOUBLE, clip(0, 1)), "[0, 1]"),
        ((clip(0, 1), DOUBLE, times(255)), "[0, 1] (measured), output in [0, 255]"),
        ((clip(0, 255), DOUBLE, times(1 / 255)), "[0, 255] (measured), output in [0, 1]"),
        ((clip(0, 1), DOUBLE, times(2), node("Sub", np.float32(1))), "[0, 1] (measured), output in [-1, 1]"),
        ((clip(0, 255), DOUBLE, clip(-9, 300), node("Floor")), "[0, 255]"),
    ],
)
@pytest.mark.parametrize("shape", [NCHW, [1, 3, 40, 28], [2, 3, "h", "w"], ["n", 3, 33, "w"]])
def test_the_range_of_values_is_measured(write, steps, said, shape):
    engine = open_engine(write(*steps, shape=shape))
    assert f"values in {said}" in engine.about["foreign"]
    lq = np.rint(picture(*(engine.input_px or (9, 7)), n=3))
    assert (engine.scale, engine.input_px is None) == (2, shape[2] == "h")
    np.testing.assert_allclose(engine(lq), doubled(lq), atol=1e-3)


def test_a_network_that_ends_in_a_sigmoid_works_in_0_to_1(write):
    """σ(4x − 2) stays within 0.12 of x, as a network that was not trained to the end might."""
    engine = open_engine(write(DOUBLE, times(4), node("Sub", np.float32(2)), node("Sigmoid")))
    assert "values in [0, 1] (measured)" in engine.about["foreign"]
    lq = picture(5, 5)
    np.testing.assert_allclose(engine(lq), 255 / (1 + np.exp(2 - 4 / 255 * doubled(lq))), atol=1e-3)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ((DOUBLE, times(0.3)), "% with 0-255; "),
        ((DOUBLE, times(np.nan)), "it is not finite"),
        ((DOUBLE, times(0)), "Its output is nearly zero, as if it were only a correction"),
    ],
)
def test_a_range_that_cannot_be_told_must_be_stated(write, steps, why):
    file = write(*steps)
    with pytest.raises(
        CheckpointError, match=r"x\.onnx' does not say which range .* --range 0-255 or --range 0-1"
    ) as caught:
        open_engine(file)
    assert why in str(caught.value)
    engine = open_engine(file, value_range="0-1")
    assert "values in [0, 1] (as stated)" in engine.about["foreign"]


def test_what_is_stated_is_believed(write):
    file = write(DOUBLE, node("Sub", np.float32(0.25)))
    lq = picture(4, 4)
    for stated, offset in (("0-1", 0.25 * 255), ("0-255", 0.25), ("-1-1", 0.125 * 255)):
        np.testing.assert_allclose(open_engine(file, value_range=stated)(lq), doubled(lq) - offset, atol=1e-3)


@pytest.mark.slow
def test_a_range_is_refused_where_it_is_unknown_or_not_needed(write, exported):
    with pytest.raises(RecipeError, match=r"the range '0-2' is not known\. Give 0-255, 0-1"):
        open_engine(write(DOUBLE), value_range="0-2")
    for name in ("net.onnx", "run"):
        with pytest.raises(RecipeError, match=r"does not need a range of values \(0-1\).* Leave out --range"):
            open_engine(exported / name, value_range="0-1")


@pytest.mark.parametrize(
    ("steps", "multiple", "least"),
    [
        ((*BLOCKS_OF_8, DOUBLE), 8, 8),
        ((node("SpaceToDepth", blocksize=3), node("DepthToSpace", blocksize=3), DOUBLE), 3, 3),
        ((node("SpaceToDepth", blocksize=7), node("DepthToSpace", blocksize=7), DOUBLE), 7, 7),
        (
            (
                node("Pad", np.array([0, 0, 10, 10, 0, 0, 10, 10]), mode="reflect"),
                node("Slice", np.array([10, 10]), np.array([-10, -10]), np.array([2, 3])),
                DOUBLE,
            ),
            1,
            16,
        ),
    ],
)
def test_pictures_of_other_sizes_are_mirrored_and_cut(write, steps, multiple, least):
    engine = open_engine(write(*steps))
    assert (engine.about["size_multiple"], engine.input_px) == (multiple, None)
    said = f"mirroring to multiples of {multiple} px, at least {least} px"
    assert said in engine.about["foreign"]
    for height, width in ((1, 1), (8, 9), (24, 21), (17, 40)):
        lq = picture(height, width, n=2)
        np.testing.assert_array_equal(engine(lq), doubled(lq))
    lq = picture(100, 131)
    np.testing.assert_array_equal(Tiled(engine, tile_px=2 * 32 + 9)(lq), doubled(lq))


def test_a_network_that_rounds_sizes_down_gets_its_multiple(write):
    """Of an odd side, the output would lack pixels, without an error."""
    pool = node("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    engine = open_engine(write(pool, DOUBLE, DOUBLE))
    assert (engine.scale, engine.about["size_multiple"]) == (2, 2)
    lq = picture(7, 5)
    np.testing.assert_allclose(
        engine(lq)[:, :, :12, :8], doubled(doubled(mean_of_4(lq[:, :, :6, :4]))), atol=1e-4
    )
    assert engine(lq).shape == (1, 3, 14, 10)


def mean_of_4(lq):
    n, c, height, width = lq.shape
    return lq.reshape(n, c, height // 2, 2, width // 2, 2).mean((3, 5))


def test_one_size_that_the_file_does_not_declare_is_found(write):
    engine = open_engine(write(node("Reshape", np.array([1, 3, 48, 48])), DOUBLE, shape=[1, 3, "h", "w"]))
    assert engine.input_px == (48, 48)
    lq = picture(20, 90)
    np.testing.assert_array_equal(Tiled(engine)(lq), doubled(lq))  # with less overlap than larger tiles have


@pytest.mark.parametrize(
    ("steps", "how", "said"),
    [
        ((TO_NCHW, DOUBLE, TO_NHWC), {"shape": NHWC}, "channels last"),
        ((TO_NCHW, DOUBLE), {"shape": [1, 20, 24, 3]}, "channels last, tiles of 20 x 24 px"),
        ((TO_NCHW, DOUBLE, clip(0, 1), TO_NHWC), {"shape": [None] * 4}, "[0, 1] (measured)"),
        ((DOUBLE, TO_NHWC), {}, "[0, 255]"),
        ((cast(FLOAT), DOUBLE), {"dtype": UINT8}, "uint8 input"),
        ((cast(FLOAT), times(1 / 255), DOUBLE), {"dtype": UINT8}, "output in [0, 1], uint8 input"),
        ((cast(FLOAT), DOUBLE, cast(UINT8)), {"dtype": UINT8, "out_dtype": UINT8}, "uint8 input"),
        ((DOUBLE,), {"dtype": TensorProto.FLOAT16, "out_dtype": TensorProto.FLOAT16}, "float16 input"),
        ((cast(FLOAT), DOUBLE), {"dtype": TensorProto.DOUBLE}, "float64 input"),
    ],
)
def test_layouts_and_numbers(write, steps, how, said):
    engine = open_engine(write(*steps, **how))
    assert said in engine.about["foreign"]
    lq = np.rint(picture(*(engine.input_px or (7, 9)), n=2))
    np.testing.assert_allclose(engine(lq), doubled(lq), atol=0.07)  # float16 has steps of 0.125 at 255


@pytest.mark.parametrize("shape", [["n", 1, "h", "w"], ["n", "h", "w", 1]])
def test_a_network_of_one_channel_upscales_the_brightness(write, shape):
    around = (TO_NCHW, TO_NHWC) if shape[3] == 1 else ()
    engine = open_engine(write(*around[:1], DOUBLE, clip(0, 1), *around[1:], shape=shape))
    assert "[0, 1] (measured), one channel, so it upscales the brightness" in engine.about["foreign"]
    lq = 60 + picture(8, 10) / 2
    y = 0.299 * lq[0, 0] + 0.587 * lq[0, 1] + 0.114 * lq[0, 2]
    for c in range(3):
        colour = imresize(np.ascontiguousarray(lq[0, c] - y), 2)
        np.testing.assert_allclose(engine(lq)[0, c], y.repeat(2, 0).repeat(2, 1) + colour, atol=1e-3)
    grey = lq[:, :1].repeat(3, 1)
    np.testing.assert_allclose(engine(grey), doubled(grey), atol=1e-3)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"shape": ["n", 4, "h", "w"]}, r"an input of shape \(any, 4, any, any\); expected \(N, 3, H, W\)"),
        ({"shape": ["n", 3, "h"]}, r"an input of shape \(any, 3, any\); expected"),
        (
            {"dtype": TensorProto.INT32, "out_dtype": TensorProto.INT32},
            r"the inputs x: tensor\(int32\) .*; expected one input of tensor\(float\)",
        ),
    ],
)
def test_an_input_that_is_no_picture_is_refused(write, how, message):
    file = write(node("Identity"), **how)
    with pytest.raises(CheckpointError, match=message):
        open_engine(file)


def test_a_network_that_runs_on_no_size_says_why(write):
    file = write(node("Reshape", np.array([1, 3, 1000, 1000])), DOUBLE, shape=[1, 3, "h", "w"])
    with pytest.raises(
        CheckpointError, match=r"runs on none of the sizes .* 512 x 512 px\): ONNX Runtime cannot"
    ):
        open_engine(file)


@pytest.fixture
def ncnn_file(tmp_path):
    def write(*layers, first="in0"):
        lines = ["7767517", f"{len(layers) + 1} {len(layers) + 1}", f"Input {first} 0 1 {first}"]
        for i, (kind, values) in enumerate(layers):
            lines.append(f"{kind} l{i} 1 1 {first if i == 0 else f't{i - 1}'} t{i} {values}")
        (tmp_path / "x.param").write_text("\n".join(lines) + "\n")
        (tmp_path / "x.bin").write_bytes(b"")
        return tmp_path / "x.param"

    return write


def test_a_foreign_ncnn_network(ncnn_file):
    """It takes values in [0, 1] and halves the picture first, so that odd sides would lose a pixel."""
    engine = open_engine(
        ncnn_file(("Pooling", "0=1 1=2 2=2 5=1"), ("Interp", "0=1 1=4 2=4"), ("Clip", "0=0 1=1"))
    )
    assert (engine.scale, engine.about["size_multiple"]) == (2, 2)
    assert "values in [0, 1]" in engine.about["foreign"]
    lq = picture(6, 8)
    np.testing.assert_allclose(engine(lq), doubled(doubled(mean_of_4(lq))), atol=1e-3)
    assert engine(picture(7, 5)).shape == (1, 3, 14, 10)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 3, 20, 36), (None, 3, None, None)])
def test_a_foreign_mindir_network(tmp_path, shape, graph):
    import mindspore as ms

    class Net(ms.nn.Cell):
        def construct(self, x):
            return ms.ops.clamp(x, 0, 1)

    dummy = ms.Tensor(shape=shape, dtype=ms.float32) if None in shape else ms.ops.zeros(shape)
    ms.export(Net(), dummy, file_name=str(tmp_path / "x"), file_format="MINDIR")
    engine = open_engine(tmp_path / "x.mindir")
    assert (engine.scale, engine.input_px, engine.batch) == (
        (1, (20, 36), 2) if shape[0] else (1, None, None)
    )
    assert "values in [0, 1]" in engine.about["foreign"]
    lq = picture(20, 36, n=3)
    np.testing.assert_allclose(engine(lq), lq, atol=1e-4)
