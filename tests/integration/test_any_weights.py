"""Weights of another framework for a user's own network, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

import srtrain
from srtrain.cli.main import main
from srtrain.data.picture import read_rgb, write_png
from srtrain.plugins import activate
from srtrain.weights import tensor_file
from srtrain.weights.network import Network
from srtrain.weights.read import build_model, read_weights

NETWORK = '''"""One convolution and a pixel shuffle; the names are those of PyTorch."""
from mindspore import nn
from srtrain.models import MODELS
from srtrain.models.blocks import PixelShuffle, conv


@MODELS.register("one_conv", from_run=("scale",))
class OneConv(nn.Cell):
    torch_names = {r"^up\\.": "upsampler."}
    scale_dependent = ("up.",)

    def __init__(self, scale: int, n_feats: int = 4) -> None:
        super().__init__()
        self.head = conv(3, n_feats)
        self.up = nn.SequentialCell(conv(n_feats, 3 * scale**2), PixelShuffle(scale))

    def construct(self, lq):
        return self.up(self.head(lq))
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("plugin") / "own_net.py"
    file.write_text(NETWORK)
    return str(file)


@pytest.fixture
def nearest(tmp_path: Path) -> Path:
    """Weights with which the network repeats every pixel: PyTorch's order would mix the colours in ours."""
    head, tail = np.zeros((4, 3, 3, 3), np.float32), np.zeros((12, 4, 3, 3), np.float32)
    for colour in range(3):
        head[colour, colour, 1, 1] = 1
        tail[4 * colour : 4 * colour + 4, colour, 1, 1] = 1  # of PyTorch, where the four stand side by side
    zeros = {"head.bias": np.zeros(4, np.float32), "upsampler.0.bias": np.zeros(12, np.float32)}
    file = tmp_path / "nearest.pth"
    tensors = {"head.weight": head, "upsampler.0.weight": tail, **zeros}
    tensor_file.write(file, {f"module.{name}": tensor for name, tensor in tensors.items()}, {})
    return file


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    rgb = np.random.default_rng(3).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    write_png(tmp_path / "picture.png", rgb)
    return tmp_path / "picture.png"


@pytest.mark.slow
def test_weights_for_ones_own_network(
    plugin: str, nearest: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command with --model, then with the checkpoint that convert writes, which needs no --model."""
    own = ["--plugin", plugin]
    rgb = read_rgb(picture)
    wanted = rgb.repeat(2, 0).repeat(2, 1)
    named = ["--model", "one_conv", *own]
    assert main(["infer", str(nearest), str(picture), "--to", str(tmp_path / "a.png"), *named]) == 0
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), wanted)
    assert main(["export", str(nearest), "--to", str(tmp_path / "a.onnx"), *named]) == 0
    np.testing.assert_array_equal(srtrain.load(tmp_path / "a.onnx").upscale(rgb), wanted)
    capsys.readouterr()
    to = tmp_path / "weights"
    assert main(["convert", "torch", str(nearest), "--scale", "2", *named, "--to", str(to)]) == 0
    printed = capsys.readouterr().out
    for row in ("one_conv x2", "PyTorch, under 'module'", "range      0-255"):
        assert row in printed
    assert main(["infer", str(to), str(picture), "--to", str(tmp_path / "b.png"), *own]) == 0
    np.testing.assert_array_equal(read_rgb(tmp_path / "b.png"), wanted)
    assert main(["convert", "torch", str(to), "--to", str(tmp_path / "back.pth"), *own]) == 0
    stored, original = (tensor_file.read(file).tensors for file in (tmp_path / "back.pth", nearest))
    for name, tensor in stored.items():
        np.testing.assert_array_equal(tensor, original[f"module.{name}"])
    capsys.readouterr()
    assert main(["evaluate", str(nearest), str(to), *named, "--sets", "embedded", "--scale", "2"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("nearest", "weights"))]
    assert len(rows) == 2
    assert rows[0].split()[1:-1] == rows[1].split()[1:-1]  # the last column is the time


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "one_conf"], "there is no model named 'one_conf'. Did you mean 'one_conv'?"),
        (["--model", "one_conv", "--model-args", "n_feats"], "--model-args 'n_feats' is not of the form key=value"),
        (["--model-args", "n_feats=8"], "--model-args n_feats=8 belongs to a network: add --model NAME."),
        (["--scale", "2"], "--scale and --range are those of the network of --model, which is missing."),
        (["--model", "one_conv", "--model-args", "n_feats=8"], "1 Parameter of 4 match"),
        (["--model", "one_conv", "--scale", "3"], "upsampler.0.bias') is (12,) in the file and (27,) here"),
        (["--model", "one_conv", "--range=-1-1"], "weights cannot be converted from the range '-1-1'"),
        ([], "holds no EDSR, and does not say which network it holds"),
    ],
)  # fmt: skip
def test_mistakes(
    words: list[str],
    said: str,
    plugin: str,
    nearest: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    to = ["--to", str(tmp_path / "weights"), "--plugin", plugin]
    assert main(["convert", "torch", str(nearest), *words, *to]) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert not (tmp_path / "weights").exists()


def test_a_network_is_named_for_weights_files_alone(
    plugin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--model", "one_conv", "--plugin", plugin]
    (tmp_path / "a.onnx").write_bytes(b"")
    assert main(["infer", str(tmp_path / "a.onnx"), "a.png", *named]) == 2
    assert "--model one_conv (model= in Python) is for files of weights" in capsys.readouterr().err
    assert main(["evaluate", "bicubic", *named, "--sets", "embedded", "--scale", "2"]) == 2
    assert "there is none among the models: bicubic" in capsys.readouterr().err


RECIPE = """from srtrain.recipe import Benchmark, Data, Recipe, Spec, Train

def recipe() -> Recipe:
    return Recipe(
        name="own",
        scale=2,
        model=Spec("one_conv", n_feats=4),
        data=Data(train=Spec("embedded")),
        train=Train(steps=1),
        benchmarks={"chelsea": Benchmark(Spec("embedded", names=("chelsea",)))},
    )
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(RECIPE)
    return str(tmp_path / "own.py")


@pytest.mark.slow
def test_a_recipe_and_weights_are_evaluated_without_expected_scores(
    recipe: str, plugin: str, nearest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the benchmarks of the recipe; with weights of PyTorch and with a .ckpt file that knows nothing."""
    activate(plugin)
    weights = read_weights(nearest, network=Network("one_conv"))
    bare = tmp_path / "bare.ckpt"
    ms.save_checkpoint(build_model(weights), str(bare))
    scores = set()
    for file in (nearest, bare):
        assert main(["evaluate", recipe, "--weights", str(file), "--plugin", plugin, "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)["rows"]
        assert (row["set"], row["scale"]) == ("chelsea", 2)
        scores.add(round(row["psnr"], 6))
    assert len(scores) == 1
    assert main(["evaluate", recipe, "--weights", str(nearest), "--plugin", plugin, "model.n_feats=8"]) == 2
    assert "does not fit the network one_conv x2 (n_feats=8)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["bicubic", "--weights", "a.pth"], ["--weights", "a.pth", "--model", "rdn"]]
)
def test_a_recipe_is_evaluated_alone_and_with_weights(
    words: list[str], recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", recipe, *words]) == 2
    assert (
        "a recipe is evaluated together with its weights, and with no other model" in capsys.readouterr().err
    )


def test_something_to_evaluate_on_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "bicubic", "--scale", "2"]) == 2
    assert "there is nothing to evaluate on: add --sets" in capsys.readouterr().err
