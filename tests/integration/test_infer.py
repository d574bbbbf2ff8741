"""``srtrain infer`` on the command line: real files of every kind, an exported network, real mistakes."""

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, load_model, save_model
from PIL import Image, ImageCms

import srtrain
from srtrain.cli.main import main
from srtrain.data.embedded import embedded
from srtrain.data.picture import read_rgb
from srtrain.export.write import export
from srtrain.metrics.protocol import quantise
from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.trainer.checkpoint import CheckpointStore

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ARGS = {"n_resblocks": 1, "n_feats": 4}


@pytest.fixture(scope="module")
def onnx(tmp_path_factory):
    """A small EDSR x2 with a receptive field radius of 6 px, as an ONNX file."""
    folder = tmp_path_factory.mktemp("run")
    model = EDSR(2, **ARGS)
    initialise(model, kaiming_uniform(), 1)
    about = {"model": "edsr", "model_args": ARGS, "scale": 2}
    CheckpointStore(folder / "checkpoints", about).save(1, {"model": model.parameters_dict()}, {})
    return export(folder, folder / "edsr_x2.onnx").file


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A working folder with a crop of a photograph as grey, RGB, RGBA, 16 bits, and JPEG with profile and rotation."""
    monkeypatch.chdir(tmp_path)
    photo = read_rgb(embedded(2, names=("coffee",))[0].gt)[100:140, 200:260]
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo).save("photos/rgb.png")
    Image.fromarray(photo[..., 1]).save("photos/deep/grey.png")
    Image.fromarray(np.dstack([photo, photo[..., :1]])).save("photos/alpha.webp", lossless=True, exact=True)
    Image.fromarray(photo).save("photos/turned.jpg", quality=95, icc_profile=PROFILE, exif=exif)
    assert cv2.imwrite("photos/deep/16.tif", photo.astype(np.uint16) * 257)
    return tmp_path / "photos"


def infer(*words):
    return main(["infer", *map(str, words)])


def mode_and_size(path):
    with Image.open(path) as image:
        return image.mode, image.size


def test_a_folder_of_all_kinds_keeps_its_structure_and_kinds(onnx, photos, capsys):
    assert infer(onnx, photos, "--to", "out") == 0
    assert mode_and_size("out/rgb.png") == ("RGB", (120, 80))
    assert mode_and_size("out/deep/grey.png") == ("L", (120, 80))
    assert mode_and_size("out/alpha.webp") == ("RGBA", (120, 80))
    assert mode_and_size("out/turned.jpg") == ("RGB", (80, 120))
    with Image.open("out/turned.jpg") as turned:
        assert turned.info["icc_profile"] == PROFILE
    deep = cv2.imread("out/deep/16.tif", cv2.IMREAD_UNCHANGED)
    assert (deep.dtype, deep.shape) == (np.uint16, (80, 120, 3))
    assert "deep/grey.png → out/deep/grey.png: 60×40 → 120×80 px" in capsys.readouterr().out


def test_the_picture_is_the_networks(onnx, photos):
    assert infer(onnx, "photos/rgb.png") == 0
    expected = srtrain.load(onnx).upscale(read_rgb(photos / "rgb.png"))
    np.testing.assert_array_equal(read_rgb(photos / "rgb_x2.png"), expected)


def test_outputs_are_kept_unless_told_and_the_exit_code_says_so(onnx, photos, capsys):
    (photos / "rgb_x2.png").write_bytes(b"dear to somebody")
    assert infer(onnx, "photos/rgb.png", "photos/turned.jpg") == 1
    assert (photos / "rgb_x2.png").read_bytes() == b"dear to somebody"
    assert mode_and_size("photos/turned_x2.jpg") == ("RGB", (80, 120))
    out = capsys.readouterr().out
    assert (
        "1 output exists and was kept, such as photos/rgb_x2.png. Add --overwrite to replace existing files."
        in out
    )
    assert infer(onnx, "photos/rgb.png", "--overwrite") == 0
    assert mode_and_size("photos/rgb_x2.png") == ("RGB", (120, 80))


def test_bad_files_are_named_and_the_rest_goes_on(onnx, photos, capsys):
    (photos / "a_bad.png").write_bytes((photos / "rgb.png").read_bytes()[:200])
    Image.new("CMYK", (8, 8)).save(photos / "b_cmyk.jpg")
    (photos / "notes.txt").touch()
    assert infer(onnx, "photos", "photos/gone.png", "--to", "out", "--format", "png") == 1
    captured = capsys.readouterr()
    assert "error: 'photos/a_bad.png' cannot be decoded" in captured.err
    assert "'photos/b_cmyk.jpg' has colours of the kind 'CMYK'" in captured.err
    assert "photos/gone.png': No such file" in captured.err
    assert "3 of 8 inputs failed" in captured.err
    assert "1 other file in 'photos' left out, such as notes.txt" in captured.out
    written = sorted(str(path.relative_to("out")) for path in Path("out").rglob("*.*"))
    assert written == ["alpha.png", "deep/16.png", "deep/grey.png", "rgb.png", "turned.png"]
    assert infer(onnx, "photos/alpha.webp", "--to", "out/alpha.jpg") == 1
    assert (
        "error: photos/alpha.webp: the picture has alpha, which JPEG cannot store" in capsys.readouterr().err
    )


def test_no_bad_file_ends_a_folder(onnx, photos, capsys):
    shutil.rmtree(photos / "deep")
    good = (photos / "rgb.png").read_bytes()
    bmp = io.BytesIO()
    Image.new("RGB", (5, 4)).save(bmp, "bmp")
    deep = io.BytesIO()
    Image.new("RGB", (5, 4)).save(deep, "tiff")
    bad = {
        "negative.bmp": bmp.getvalue()[:18] + (-5).to_bytes(4, "little", signed=True) + bmp.getvalue()[22:],
        "huge.png": good[:16] + b"\xff" * 8 + good[24:],
        "huge.tif": deep.getvalue().replace((5).to_bytes(4, "little"), (2**31).to_bytes(4, "little")),
        "text.png": b"hello",
        "empty.jpg": b"",
    }
    for name, data in bad.items():
        (photos / name).write_bytes(data)
    (photos / "link.png").symlink_to("gone.png")
    (photos / "folder.png").mkdir()
    long_name = "n" * 248 + ".png"
    (photos / long_name).write_bytes(good)
    assert infer(onnx, photos, "--to", "out") == 1
    errors = capsys.readouterr().err
    for name in (*bad, "link.png"):
        assert f"{name}'" in errors
    assert "link.png': it is a link to 'gone.png', which does not exist" in errors
    assert "negative.bmp' claims a width of -5 px" in errors
    assert (photos.parent / "out" / long_name).is_file()
    assert infer(onnx, photos / long_name) == 0  # the output's name has 255 characters
    (photos / ("m" * 251 + ".png")).write_bytes(good)
    assert infer(onnx, photos / ("m" * 251 + ".png")) == 1
    assert "File name too long" in capsys.readouterr().err
    written = sorted(path.name for path in Path("out").rglob("*.*"))
    assert written == sorted(["alpha.webp", "rgb.png", "turned.jpg", long_name])


def test_a_picture_that_does_not_fit_the_memory_is_refused_by_its_header(onnx, photos, capsys):
    Image.new("1", (20000, 20000)).save(photos / "rgb.png")
    assert infer(onnx, "photos/rgb.png", "photos/turned.jpg") == 1
    captured = capsys.readouterr()
    assert (
        "error: 'photos/rgb.png' claims 20000×20000 px. The picture and its output at x2 need 2.4 GB, but --memory "
        "allows 1.5 GB. If it is really that large, add --memory 6GB." in captured.err
    )
    assert "photos/turned_x2.jpg" in captured.out


def test_standard_input_to_standard_output_is_the_picture_alone(onnx, photos):
    words = [sys.executable, "-m", "srtrain.cli", "infer", str(onnx), "-", "--tile", "20", "--overlap", "2"]
    done = subprocess.run(words, input=(photos / "rgb.png").read_bytes(), capture_output=True, check=True)
    with Image.open(io.BytesIO(done.stdout)) as image:
        image.load()
        assert (image.format, image.size) == ("PNG", (120, 80))
    assert (
        b"an overlap of 2 px instead of the network's receptive radius of 6 px changes the output: "
        in done.stderr
    )
    words = [*words[:5], "photos/rgb.png", "--to", "-", "--format", "webp"]
    assert subprocess.run(words, capture_output=True, check=True).stdout[8:12] == b"WEBP"
    failed = subprocess.run([*words[:5], "-"], input=b"", capture_output=True, check=False)
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert b"error: 'standard input' is not a PNG" in failed.stderr


def test_a_sheet_beside_bicubic_of_every_kind(onnx, photos, capsys):
    assert infer(onnx, "photos/**/*", "--to", "out", "--compare") == 0
    for name in ("rgb", "alpha", "turned", "deep/grey", "deep/16"):
        mode, (width, height) = mode_and_size(f"out/{name}_compare.png")
        assert mode == "RGB"
        assert width > 800
        assert height > 200
    assert infer(onnx, "photos/rgb.png", "--to", "out/rgb.png", "--compare") == 1
    assert "2 outputs exist" in capsys.readouterr().out


def test_tiles_and_the_ensemble(onnx, photos):
    assert infer(onnx, "photos/rgb.png", "--to", "whole.png") == 0
    assert infer(onnx, "photos/rgb.png", "--to", "tiled.png", "--tile", "25") == 0
    assert infer(onnx, "photos/rgb.png", "--to", "ensemble.png", "--self-ensemble") == 0
    whole, tiled, ensemble = (read_rgb(photos.parent / f"{n}.png") for n in ("whole", "tiled", "ensemble"))
    np.testing.assert_array_equal(tiled, whole)
    assert (ensemble != whole).any()


def test_a_video(onnx, photos, capsys):
    writer = cv2.VideoWriter("film.avi", cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 24))
    for i in range(5):
        writer.write(np.full((24, 32, 3), 40 * i, np.uint8))
    writer.release()
    assert infer(onnx, "film.avi", "--to", "large.mkv") == 0
    assert "film.avi → large.mkv: 5 frames, " in capsys.readouterr().out
    film = cv2.VideoCapture("large.mkv")
    assert (film.get(cv2.CAP_PROP_FRAME_WIDTH), film.get(cv2.CAP_PROP_FPS)) == (64, 10)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tile", "some"], "--tile some is neither auto nor a number of pixels"),
        (["--tile", "12"], "a tile of 12 px is too small: 6 px of each side are overlap"),
        (["--overlap", "-1"], "an overlap of -1 px is not possible"),
        (["--memory", "much"], "'much' is not an amount of memory; write it as 1.5GB"),
        (["--format", "gif"], "--format gif is not a known format. Known: png, jpg"),
        (["--quality", "101"], "--quality 101 is not between 1 and 100"),
        (["--engine", "onxruntime"], "there is no engine 'onxruntime'. Did you mean 'onnxruntime'?"),
        (
            ["--to", "-", "--compare"],
            "--compare writes a file beside the output, and standard output has no place for it",
        ),
    ],
)
def test_mistakes_in_the_command_line_end_with_two_and_write_nothing(onnx, photos, capsys, words, message):
    before = sorted(photos.rglob("*"))
    assert infer(onnx, "photos/rgb.png", *words) == 2
    assert f"error: {message}" in capsys.readouterr().err
    assert sorted(photos.rglob("*")) == before


@pytest.mark.slow
def test_when_memory_really_runs_out_the_picture_is_finished_in_smaller_tiles(onnx, tmp_path):
    """The process may map 250 MB more than it has; the network needs about 400 MB for this picture in one piece."""
    picture = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    np.save(tmp_path / "picture.npy", picture)
    code = """if True:
        import re, resource, sys
        from pathlib import Path
        import numpy as np
        import srtrain
        model = srtrain.load(sys.argv[1], threads=1, memory="64GB", say=print)
        picture = np.load("picture.npy")
        model.upscale(picture[:32, :32])
        mapped = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
        resource.setrlimit(resource.RLIMIT_AS, (mapped + 250_000_000, mapped + 250_000_000))
        np.save("sr.npy", model.upscale(picture))
    """
    words = [sys.executable, "-c", code, str(onnx)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True, text=True)
    assert "memory ran out with tiles of 1000×1000 px: continuing with half that size" in done.stdout
    expected = srtrain.load(onnx, threads=1).upscale(picture)
    np.testing.assert_array_equal(np.load(tmp_path / "sr.npy"), expected)


def test_a_file_of_others_is_measured_and_what_is_not_known_is_said(onnx, photos, capsys):
    stripped = load_model(onnx)
    del stripped.metadata_props[:]
    save_model(stripped, "theirs.onnx")
    assert infer("theirs.onnx", "photos/rgb.png") == 2  # its weights are random, so no range fits
    assert "theirs.onnx' does not say which range of values it expects" in capsys.readouterr().err
    assert infer("theirs.onnx", "photos/rgb.png", "--to", "theirs.png", "--range", "0-255") == 0
    assert "note: the file has no srtrain metadata, so it was examined: scale 2" in capsys.readouterr().out
    Image.fromarray(read_rgb(photos / "rgb.png").repeat(3, 1)).save("wide.png")
    assert infer("theirs.onnx", "wide.png", "--tile", "100", "--range", "0-255") == 0
    assert (
        "32 px instead of one of 96 px (the receptive radius of this network is unknown)"
        in capsys.readouterr().out
    )
    assert infer(onnx, "wide.png", "--to", "ours.png") == 0
    np.testing.assert_array_equal(read_rgb(Path("wide_x2.png")), read_rgb(Path("ours.png")))


def test_a_file_of_others_that_works_in_0_to_1_gives_no_black_picture(photos, capsys):
    """It also needs multiples of 8, which the 60 x 40 px of the picture are not."""
    sides = [helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2])]
    nodes = [
        helper.make_node("SpaceToDepth", ["x"], ["s"], blocksize=8),
        helper.make_node("DepthToSpace", ["s"], ["d"], blocksize=8),
        helper.make_node("Upsample", ["d", "scales"], ["u"], mode="nearest"),
        helper.make_node("Clip", ["u"], ["y"], min=0.0, max=1.0),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    opset = helper.make_opsetid("", 9)
    save_model(
        helper.make_model(
            helper.make_graph(nodes, "x2", [x], [y], sides), opset_imports=[opset], ir_version=4
        ),
        "theirs.onnx",
    )
    assert infer("theirs.onnx", "photos/rgb.png", "--to", "y.png") == 0
    said = capsys.readouterr().out
    assert said.count("note: ") == 1
    assert "values in [0, 1] (measured), sides are continued by mirroring to multiples of 8 px" in said
    lq = read_rgb(photos / "rgb.png")
    np.testing.assert_array_equal(read_rgb(Path("y.png")), lq.repeat(2, 0).repeat(2, 1))
    assert infer("theirs.onnx", "photos/rgb.png", "--to", "z.png", "--range", "0-3") == 2
    assert "error: the range '0-3' is not known" in capsys.readouterr().err
    assert not Path("z.png").exists()


def test_the_python_in_the_docs_runs(onnx, photos, repo_root):
    shutil.copy(onnx, "edsr_x2.onnx")
    text = (repo_root / "docs" / "infer.md").read_text(encoding="utf-8")
    arrays, batches = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    picture = read_rgb(photos / "rgb.png")
    names = {"picture": picture, "lq": picture.transpose(2, 0, 1)[None].astype(np.float32)}
    exec(arrays, names)
    assert names["sr"].shape == (80, 120, 3)
    sr = names["sr"]
    exec(batches, names)
    np.testing.assert_array_equal(quantise(names["sr"][0].transpose(1, 2, 0)), sr)


def test_an_exported_file_needs_nothing_that_is_slow_to_import(onnx, photos):
    code = """if True:
        import sys
        from srtrain.cli.main import main
        assert main(["infer", sys.argv[1], "photos/rgb.png"]) == 0
        assert not {"mindspore", "numba", "scipy", "onnx", "mindcv", "torch"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code, str(onnx)], check=True)
    assert mode_and_size("photos/rgb_x2.png") == ("RGB", (120, 80))
