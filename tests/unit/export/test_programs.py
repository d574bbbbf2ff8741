"""Files for other programs, run with the library of each program and fed as the program feeds it."""

import ncnn
import numpy as np
import onnx
import onnxruntime
import pytest

from srtrain.cli.main import main
from srtrain.errors import ExportError, UserError
from srtrain.export.formats.param import check_for
from srtrain.export.options import Options
from srtrain.export.programs import PROGRAMS, scale_in
from srtrain.export.write import export
from srtrain.infer.open import open_engine

RGB = np.random.default_rng(4).integers(0, 256, (13, 20, 3), np.uint8)
LIMIT = 0.01  # grey levels
NCNN = ("upscayl", "realesrgan-ncnn")


def for_program(name, **more):
    return Options(program=PROGRAMS[name], **more)


def expected(source):
    """Return what the checkpoint computes for RGB, HWC in [0, 255]."""
    lq = RGB.transpose(2, 0, 1)[None].astype(np.float32)
    return open_engine(source, "mindspore")(lq)[0].transpose(1, 2, 0)


def run_ncnn(param, names):
    """Run a file with ncnn as these programs do: RGB divided by 255 into one blob, the other times 255."""
    net = ncnn.Net()
    net.opt.num_threads = 1
    assert net.load_param(str(param)) == 0
    assert net.load_model(str(param.with_suffix(".bin"))) == 0
    extractor = net.create_extractor()
    mat = ncnn.Mat.from_pixels(RGB, ncnn.Mat.PixelType.PIXEL_RGB, RGB.shape[1], RGB.shape[0])
    mat.substract_mean_normalize([], [1 / 255.0] * 3)
    assert extractor.input(names[0], mat) == 0
    code, out = extractor.extract(names[1])
    assert code == 0
    return 255 * np.array(out).transpose(1, 2, 0)


def layers_of(param):
    """Return kind, inputs, outputs and parameters of each layer, as chaiNNer reads them."""
    found = []
    for line in param.read_text().splitlines()[2:]:
        kind, _, n_in, n_out, *words = line.split()
        end = int(n_in) + int(n_out)
        keys = [int(word.partition("=")[0]) for word in words[end:]]
        found.append((kind, words[: int(n_in)], words[int(n_in) : end], keys))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 4])
def test_ncnn_programs_get_their_blobs_range_and_folder(checkpoint, tiny, tmp_path, scale):
    source = checkpoint(scale=scale, **tiny)
    files = [export(source, tmp_path / name / f"net_x{scale}.param", for_program(name)).file for name in NCNN]
    wanted = expected(source)
    for name, file in zip(NCNN, files, strict=True):
        assert file == tmp_path / name / "models" / f"net_x{scale}.param"
        np.testing.assert_allclose(run_ncnn(file, ("data", "output")), wanted, atol=LIMIT)
    ours = open_engine(files[0])
    np.testing.assert_allclose(
        ours(RGB.transpose(2, 0, 1)[None].astype(np.float32))[0].transpose(1, 2, 0), wanted, atol=LIMIT
    )
    assert ours.about["values"] == "0-1"


def test_chainner_reads_the_names_and_layers_of_an_ncnn_file(checkpoint, tiny, tmp_path):
    source = checkpoint(**tiny)
    file = export(source, tmp_path / "net.param", for_program("chainner")).file
    layers = layers_of(file)
    names = (layers[0][2][0], layers[-1][2][0])
    np.testing.assert_allclose(run_ncnn(file, names), expected(source), atol=LIMIT)
    # what chaiNNer's loader knows of these layers; it reads no weights of Bias and misreads those of Scale
    known = {
        "Convolution": {0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19},
        "BinaryOp": {0, 1, 2},
        "PixelShuffle": {0, 1},
        "Input": {0, 1, 2, 11},
        "Split": set(),
    }
    for kind, _, _, keys in layers:
        assert set(keys) <= known[kind], kind


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(("name", "names"), [("chainner", None), ("onnx-01", ("input", "output"))])
def test_onnx_programs_get_rgb_from_0_to_1(checkpoint, tiny, tmp_path, name, names, plain):
    source = checkpoint(**tiny)
    file = export(source, tmp_path / "net.onnx", for_program(name, plain=plain)).file
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = (session.get_inputs()[0].name, session.get_outputs()[0].name)
    assert names in (None, found)
    bgr = (
        RGB[..., ::-1].astype(np.float32) / 255
    )  # chaiNNer holds pictures so, and turns them before the network
    given = np.flip(bgr, 2).transpose(2, 0, 1)[np.newaxis, :]
    out = session.run([found[1]], {found[0]: given})[0].squeeze(0).transpose(1, 2, 0)
    np.testing.assert_allclose(255 * out, expected(source), atol=LIMIT)


def test_chainner_finds_the_scale_of_an_onnx_file_by_inferring_its_shapes(checkpoint, tiny, tmp_path):
    file = export(checkpoint(scale=3, **tiny), tmp_path / "net.onnx", for_program("chainner")).file
    model = onnx.load(str(file))
    for axis, px in ((0, 1), (2, 16), (3, 16)):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = px
    for dim in model.graph.output[0].type.tensor_type.shape.dim:
        dim.ClearField("value")
    inferred = onnx.shape_inference.infer_shapes(model).graph.output[0].type.tensor_type.shape
    assert [dim.dim_value for dim in inferred.dim] == [1, 3, 48, 48]


def test_upscayl_must_find_the_scale_in_the_name(checkpoint, tiny, tmp_path):
    source = checkpoint(**tiny)
    for name, found in (("net.param", "finds no scale"), ("net_1x_x2.param", "reads x1")):
        with pytest.raises(
            UserError, match=f"{found}.* but the network is x2: rename it .* 'my_model-x2.param'"
        ):
            export(source, tmp_path / name, for_program("upscayl"))
    assert not (tmp_path / "models").exists()
    assert [scale_in(name) for name in ("a-4x", "x16", "edsr_x3", "plain")] == [4, 1, 3, None]


@pytest.mark.parametrize(
    ("layers", "multiple", "message"),
    [
        ({"Input", "Convolution"}, 2, r"even sides only.*chainner also runs.*Export it to \.onnx"),
        ({"Input", "Scale", "Bias"}, 1, "chainner cannot load the layers Bias, Scale of this network"),
    ],
)
def test_what_a_program_cannot_run_is_refused(layers, multiple, message):
    check_for(PROGRAMS["chainner"], {"Input", "Convolution", "PixelShuffle"}, {"size_multiple": 1})
    with pytest.raises(ExportError, match=message):
        check_for(PROGRAMS["chainner"], layers, {"size_multiple": multiple})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "x.onnx", "--for", "upscayl"), "'x.onnx' ends in '.onnx', but upscayl reads .param"),
        (("--to", "x.onnx", "--for", "upscale"), "Did you mean 'upscayl'?"),
        (
            ("--to", "x.onnx", "--for", "chainner", "--precision", "int8"),
            "files for chainner are written in float32: remove --precision int8",
        ),
    ],
)
def test_mistakes_are_named(tmp_path, capsys, words, message):
    assert main(["export", str(tmp_path), *words]) == 2
    assert message in capsys.readouterr().err


def test_the_command_says_how_to_use_the_file(checkpoint, tiny, tmp_path, capsys):
    source = checkpoint(**tiny)
    words = ["export", str(source), "--to", str(tmp_path / "net_x2.param"), "--for", "realesrgan-ncnn"]
    assert main(words) == 0
    out = capsys.readouterr().out
    folder = tmp_path / "models"
    assert f"realesrgan-ncnn-vulkan -m {folder} -n net_x2 -s 2 -i photo.png" in out
    assert main(words) == 2
    assert "exists. Add --overwrite" in capsys.readouterr().err
