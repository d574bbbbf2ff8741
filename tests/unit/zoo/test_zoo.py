"""The built-in models: their cards, where their names work, and which one ``infer`` chooses."""

import json

import numpy as np
import pytest
from PIL import Image

from srtrain import zoo
from srtrain.cli.main import main, read
from srtrain.errors import CheckpointError, RecipeError
from srtrain.files import sha256_of
from srtrain.infer.inputs import starts_with_input
from srtrain.infer.model import load
from srtrain.jobs.infer import model_and_inputs
from srtrain.models.edsr import EDSR
from srtrain.weights import edsr_pytorch

MAX_BYTES = 2_000_000


def add_model(folder, name, scale, psnr):
    """Write a network without training as a built-in model."""
    args = {"n_resblocks": 1, "n_feats": 8, "rgb_mean": (0.4, 0.4, 0.4)}
    model = EDSR(scale, **args)
    tensors = {key: value.asnumpy() for key, value in model.parameters_dict().items()}
    about = {"model": "edsr", "model_args": args, "scale": scale}
    edsr_pytorch.write(folder / f"{name}.safetensors", tensors, about)
    card = {
        "name": name,
        "scale": scale,
        "sha256": sha256_of(folder / f"{name}.safetensors"),
        "licence": "Apache-2.0",
        "network": {"model": "edsr", "model_args": {"n_feats": 8}, "parameters": 1000, "multi_adds": 10**9},
        "training": {"data": "none", "recipe": "recipes/x.py", "changes": [], "commit": "abc", "steps": 1},
        "scores": [
            {
                "set": "set5",
                "protocol": "paper_y",
                "method": "plain",
                "psnr": psnr,
                "ssim": 0.9,
                "bicubic_psnr": 30.0,
            }
        ],
        "speed": {"seconds_per_megapixel": 0.5, "engine": "native", "processor": "a CPU", "cores": 1},
    }
    (folder / f"{name}.json").write_text(json.dumps(card))


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder of three models; the better one of x2 has the later name."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    for name, scale, psnr in (("a_x2", 2, 33.0), ("b_x2", 2, 34.0), ("a_x4", 4, 31.0)):
        add_model(folder, name, scale, psnr)
    monkeypatch.setattr(zoo, "FOLDER", folder)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (12, 10, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "deep" / "a.png")
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")


@pytest.mark.parametrize("name", zoo.names())
def test_a_card_describes_the_file_beside_it(name):
    card, file = zoo.card_of(name), zoo.FOLDER / f"{name}.safetensors"
    assert (card["name"], card["sha256"]) == (name, sha256_of(file))
    assert file.stat().st_size <= MAX_BYTES
    tensors, about = edsr_pytorch.read(file)
    assert about["scale"] == card["scale"]
    assert sum(tensor.size for tensor in tensors.values()) == card["network"]["parameters"]
    assert {score["set"] for score in card["scores"]} >= {"set5", "set14"}
    assert all(score["psnr"] > score["bicubic_psnr"] + 0.5 for score in card["scores"])


def test_there_is_a_built_in_model():
    assert zoo.best(2) in zoo.names()


def test_the_first_word_is_a_model_unless_it_is_a_picture(models, photos, tmp_path):
    (tmp_path / "run" / "pictures").mkdir(parents=True)
    (tmp_path / "run" / "pictures" / "a.png").touch()
    (tmp_path / "run" / "recipe.json").touch()
    for first in ("-", "photo.jpg", "gone.PNG", "film.mp4", "photos", "photos/**/*.tif", "photos/deep"):
        assert starts_with_input([first]), first
    for first in ("run", "a_x2", "x.onnx", "zoo"):
        assert not starts_with_input([first]), first
    assert model_and_inputs(["photo.jpg", "photos"], None, None) == ("b_x2", ["photo.jpg", "photos"])
    assert model_and_inputs(["photo.jpg"], None, 4) == ("a_x4", ["photo.jpg"])
    assert model_and_inputs(["a_x2", "photo.jpg"], None, None) == ("a_x2", ["photo.jpg"])
    assert model_and_inputs(["photo.jpg"], "run", 4) == ("run", ["photo.jpg"])
    with pytest.raises(RecipeError, match=r"'run' is the only word, and it is neither a picture"):
        model_and_inputs(["run"], None, None)
    with pytest.raises(RecipeError, match=r"no built-in model for --scale 3; there are models for .*2, 4"):
        model_and_inputs(["photo.jpg"], None, 3)


def test_a_name_is_not_a_file_of_that_name(models, tmp_path):
    assert zoo.located(tmp_path / "a_x2") == tmp_path / "a_x2"
    file = models / "a_x2.safetensors"
    assert zoo.located(file.relative_to(tmp_path).parent / "a_x2").name == "a_x2"
    assert zoo.located(type(file)("a_x2")) == file
    (tmp_path / "a_x2").mkdir()
    assert zoo.located(type(file)("a_x2")) == type(file)("a_x2")


def test_a_name_works_in_python_and_on_the_command_line(models, photos, tmp_path, capsys):
    model = load("a_x4", engine="mindspore")
    assert model.upscale(np.zeros((5, 4, 3), np.uint8)).shape == (20, 16, 3)
    assert (
        main(["infer", "photo.jpg", "photos", "--scale", "4", "--engine", "mindspore", "--to", "large"]) == 0
    )
    assert Image.open("large/photo.jpg").size == (40, 48)
    assert Image.open("large/deep/a.png").size == (40, 48)
    assert main(["infer", "a_x3", "photo.jpg"]) == 2
    assert "built-in model. Did you mean 'a_x4'? Built-in models: a_x2, a_x4, b_x2" in capsys.readouterr().err


def test_models_and_cards_are_printed(models, capsys):
    assert main(["models"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["model", "scale", "PSNR", "benchmark", "parameters", "s/megapixel"]
    assert rows[2].split() == ["b_x2", "x2", "34.00", "dB", "set5", "(paper_y)", "1,000", "0.50"]
    assert main(["models", "b_x2"]) == 0
    card = capsys.readouterr().out
    for part in ("edsr x2 (n_feats=8)", "recipes/x.py, 1 step,", "Apache-2.0", "34.000 dB", "commit abc"):
        assert part in card
    assert main(["models", "a_x2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["scores"][0]["psnr"] == 33.0
    assert main(["models", "c_x2"]) == 2
    assert "there is no built-in model 'c_x2'. Did you mean" in capsys.readouterr().err


def test_a_damaged_card_is_named(models):
    (models / "a_x2.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"a_x2\.json' is damaged .* Install srtrain again\."):
        zoo.card_of("a_x2")


def test_the_option_model_names_a_model_or_the_network_of_a_weights_file(models, photos):
    for given in ("a_x2", "zoo"):
        args = read(["infer", "photo.jpg", "photos", "--model", given])
        assert (args.model, args.network, args.words) == (given, None, ["photo.jpg", "photos"])
    args = read(["infer", "a.pth", "photo.jpg", "--model", "rdn"])
    assert (args.model, args.network) == (None, "rdn")
