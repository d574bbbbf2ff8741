"""A network for grey pictures: trained, scored, exported to every format, and used on grey and on colour pictures."""

import json

import numpy as np
import onnx
import pytest

from srtrain.cli.main import main
from srtrain.data.embedded import embedded
from srtrain.data.picture import as_grey, read_rgb, write_png
from srtrain.data.resize import imresize
from srtrain.engines.tiles import Tiled
from srtrain.errors import CheckpointError
from srtrain.export.write import export
from srtrain.infer.open import open_engine
from srtrain.metrics.colour import brightness

pytestmark = pytest.mark.slow

RECIPE = """
from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train, standard_hooks

def recipe():
    return Recipe(
        name="grey",
        scale=2,
        model=Spec("edsr", n_resblocks=1, n_feats=8, n_colors=1),
        data=Data(train=Spec("embedded"), gt_patch_px=32, batch_size=4),
        train=Train(steps=40, log_every=20, threads=1, mode="pynative"),
        optim=Optim(lr=4e-3, schedule=Spec("cosine")),
        benchmarks={"embedded": Benchmark(Spec("embedded", names=("coffee",)), "basicsr_rgb")},
        hooks=standard_hooks(evaluate=Spec("evaluate", every=20), require_learning=Spec("require_learning")),
    )
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("grey")
    (folder / "grey.py").write_text(RECIPE)
    assert main(["run", str(folder / "grey.py"), f"run_dir={folder / 'run'}"]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def files(run):
    """The exported files by suffix."""
    return {
        suffix: export(run, run.parent / f"x.{suffix}").file
        for suffix in ("onnx", "mindir", "param", "native")
    }


def test_a_file_has_one_channel_and_every_engine_computes_the_same(run, files):
    graph = onnx.load(str(files["onnx"])).graph
    for value in (graph.input[0], graph.output[0]):
        assert value.type.tensor_type.shape.dim[1].dim_value == 1
    assert json.loads(files["onnx"].with_suffix(".onnx.json").read_text())["about"]["channels"] == 1
    lq = np.random.default_rng(0).uniform(0, 255, (1, 3, 41, 37)).astype(np.float32)
    expected = open_engine(run, "mindspore")(lq)
    assert expected.shape == (1, 3, 82, 74)
    for suffix, file in files.items():
        engine = open_engine(file)
        np.testing.assert_allclose(engine(lq), expected, atol=1e-3, err_msg=suffix)
        np.testing.assert_allclose(Tiled(engine, tile_px=32)(lq), expected, atol=1e-3, err_msg=suffix)


def test_evaluate_has_the_score_of_the_training_which_is_that_of_the_grey_channel(run, files, capsys):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    trained = max(row["psnr"] for row in rows if "psnr" in row)
    words = ["--sets", "embedded", "--protocol", "basicsr_rgb", "--json"]
    assert main(["evaluate", str(run), str(files["onnx"]), *words]) == 0
    results = json.loads(capsys.readouterr().out)["rows"]
    scores = [
        picture["psnr"] for row in results for picture in row["pictures"] if picture["name"] == "coffee"
    ]
    assert scores == pytest.approx([trained, trained], abs=1e-3)
    gt = as_grey(read_rgb(embedded(2, names=("coffee",))[0].gt))
    gt = gt[: gt.shape[0] // 2 * 2, : gt.shape[1] // 2 * 2]
    lq = imresize(gt, 0.5).transpose(2, 0, 1)[None].astype(np.float32)
    sr = open_engine(files["onnx"])(lq)[0, 0]
    error = (np.clip(np.rint(sr), 0, 255) - gt[..., 0])[2:-2, 2:-2]
    assert trained == pytest.approx(10 * np.log10(255**2 / np.mean(error**2)), abs=1e-2)


def test_infer_keeps_grey_grey_and_adds_bicubic_colours_to_the_brightness(files, tmp_path):
    colour = read_rgb(embedded(2, names=("chelsea",))[0].gt)[100:140, 140:190]
    grey = as_grey(colour)
    for name, picture in {"colour": colour, "grey": grey[..., 0]}.items():
        write_png(tmp_path / f"{name}.png", picture)
        words = [str(tmp_path / f"{name}.png"), "--to", str(tmp_path / f"{name}_sr.png")]
        assert main(["infer", str(files["onnx"]), *words]) == 0
    enlarged_grey = read_rgb(tmp_path / "grey_sr.png")
    assert (enlarged_grey[..., 0] == enlarged_grey[..., 1]).all()
    sr = read_rgb(tmp_path / "colour_sr.png").astype(np.float64)
    brighter = brightness(sr)
    assert np.abs(brighter - enlarged_grey[..., 0]).max() < 2  # rounded twice
    plain = imresize(colour, 2).astype(np.float64)
    differences = (sr - brighter[..., None]) - (plain - brightness(plain)[..., None])
    inside = (sr > 1).all(axis=2) & (sr < 254).all(axis=2)  # clipping changes colours
    assert np.abs(differences[inside]).max() < 2


def test_other_programs_take_rgb_only(run, tmp_path, capsys):
    assert main(["export", str(run), "--to", str(tmp_path / "grey-x2.param"), "--for", "upscayl"]) == 2
    assert "gives a network RGB, and this one takes grey pictures" in capsys.readouterr().err


def test_metadata_that_name_other_channels_are_refused(files):
    beside = files["param"].with_suffix(".param.json")
    text = beside.read_text()
    beside.write_text(text.replace('"channels": 1', '"channels": 3'))
    with pytest.raises(CheckpointError, match="reads 1 channels, but its metadata says 3"):
        open_engine(files["param"])
    beside.write_text(text)
