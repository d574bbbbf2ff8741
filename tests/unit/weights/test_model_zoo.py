"""Checkpoints of MindSpore's model zoo: written here with their names and shapes, compared with their formula."""

from __future__ import annotations

import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import ops

from srtrain.cli.main import main
from srtrain.data.picture import read_rgb, write_png
from srtrain.data.resize import make_lq
from srtrain.errors import CheckpointError
from srtrain.metrics.protocol import PROTOCOLS, quantise
from srtrain.models.edsr import EDSR
from srtrain.models.upscale import Upscaler
from srtrain.weights import edsr_pytorch
from srtrain.weights.read import build_model, read_weights
from srtrain.weights.transfer import load_weights

N_BLOCKS, N_FEATS, RES_SCALE = 2, 4, 0.1
STAGES = {2: [2], 3: [3], 4: [2, 2]}
MEAN = np.array([0.4488, 0.4371, 0.4040], np.float32)
STD = np.array([0.5, 1.0, 2.0], np.float32)


def zoo_tensors(scale: int, std: np.ndarray = STD) -> dict[str, np.ndarray]:
    """Random weights with the names and shapes of the model zoo's EDSR."""
    rng = np.random.default_rng(scale)
    layers = {"head.0": (N_FEATS, 3)}
    for n in range(N_BLOCKS):
        layers |= {f"body.{n}.conv1": (N_FEATS, N_FEATS), f"body.{n}.conv2": (N_FEATS, N_FEATS)}
    layers[f"body.{N_BLOCKS}"] = (N_FEATS, N_FEATS)
    for index, factor in enumerate(STAGES[scale]):
        layers[f"tail.0.up.{2 * index}"] = (factor * factor * N_FEATS, N_FEATS)
    layers["tail.1"] = (3, N_FEATS)
    found = {
        "norm.weight": (1 / 255 / std).reshape(1, 3, 1, 1),
        "norm.bias": (-MEAN / std).reshape(1, 3, 1, 1),
        "de_norm.weight": (255 * std).reshape(1, 3, 1, 1),
        "de_norm.bias": (255 * MEAN).reshape(1, 3, 1, 1),
    }
    for name, (n_out, n_in) in layers.items():
        found[f"{name}.weight"] = rng.normal(0, 0.2, (n_out, n_in, 3, 3))
        found[f"{name}.bias"] = rng.normal(0, 0.2, n_out)
    return {name: value.astype(np.float32) for name, value in found.items()}


def zoo_output(tensors: dict[str, np.ndarray], lq: np.ndarray, scale: int) -> np.ndarray:
    """What the model zoo's network computes, written down from its formula."""

    def conv(x: ms.Tensor, name: str) -> ms.Tensor:
        weight, bias = (ms.Tensor(tensors[f"{name}.{part}"]) for part in ("weight", "bias"))
        return ops.conv2d(x, weight, bias, pad_mode="pad", padding=1)

    x = ms.Tensor(lq * tensors["norm.weight"] + tensors["norm.bias"])
    x = head = conv(x, "head.0")
    for n in range(N_BLOCKS):
        x = x + conv(ops.relu(conv(x, f"body.{n}.conv1")), f"body.{n}.conv2") * RES_SCALE
    x = conv(x, f"body.{N_BLOCKS}") + head
    for index, factor in enumerate(STAGES[scale]):
        x = ops.DepthToSpace(factor)(conv(x, f"tail.0.up.{2 * index}"))
    return conv(x, "tail.1").asnumpy() * tensors["de_norm.weight"] + tensors["de_norm.bias"]


def write_zoo(file, tensors, prefix="net.", **state):
    named = {f"{prefix}{name}": value for name, value in tensors.items()}
    ms.save_checkpoint([{"name": n, "data": ms.Tensor(v)} for n, v in {**named, **state}.items()], str(file))
    return file


@pytest.fixture
def lq() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (1, 3, 7, 9)).astype(np.float32)


@pytest.mark.parametrize(("scale", "prefix"), [(2, ""), (3, "net."), (4, "net.")])
def test_the_network_computes_what_the_model_zoo_s_does(tmp_path, lq, scale, prefix):
    tensors = zoo_tensors(scale)
    weights = read_weights(write_zoo(tmp_path / "zoo.ckpt", tensors, prefix))
    assert weights.about["scale"] == scale
    assert weights.about["model_args"] == {
        "n_resblocks": N_BLOCKS,
        "n_feats": N_FEATS,
        "kernel_px": 3,
        "res_scale": RES_SCALE,
        "rgb_mean": [0.4488, 0.4371, 0.404],
    }
    difference = np.abs(Upscaler(build_model(weights))(lq) - zoo_output(tensors, lq, scale)).max()
    assert difference < 1e-3


def test_training_state_is_passed_over(tmp_path):
    tensors = zoo_tensors(2)
    state = {
        "moment1.net.head.0.weight": tensors["head.0.weight"],
        "moment2.net.head.0.weight": tensors["head.0.weight"],
        "beta1_power": np.float32(0.9),
        "global_step": np.int32(7),
        "scale_sense": np.float32(1000),
    }
    weights = read_weights(write_zoo(tmp_path / "zoo.ckpt", tensors, **state))
    assert len(weights.tensors) == 2 * (N_BLOCKS * 2 + 4)


def test_without_the_normalisation_in_the_file_it_is_the_usual_one(tmp_path, lq):
    tensors = zoo_tensors(2, np.ones(3, np.float32))
    without = {name: value for name, value in tensors.items() if "norm." not in name}
    weights = read_weights(write_zoo(tmp_path / "zoo.ckpt", without))
    assert np.abs(Upscaler(build_model(weights))(lq) - zoo_output(tensors, lq, 2)).max() < 1e-3
    assert "not in the file" in weights.about["origin"]["mean"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"de_norm.weight": np.ones((1, 3, 1, 1), np.float32)}, "is not undone at the output"),
        ({"norm.bias": None}, "instead of norm.weight, norm.bias, de_norm.weight, de_norm.bias"),
        ({"body.1.conv2.bias": None}, "without body.1.conv2.bias"),
        ({"attention.weight": np.ones((2, 2), np.float32)}, "with attention.weight, which EDSR has not"),
        ({"tail.0.up.0.weight": np.ones((20, 4, 3, 3), np.float32)}, "of a scale that is unknown here"),
    ],
)
def test_another_network_is_refused_by_name(tmp_path, change, says):
    tensors = {name: value for name, value in {**zoo_tensors(2), **change}.items() if value is not None}
    with pytest.raises(CheckpointError, match=says):
        read_weights(write_zoo(tmp_path / "zoo.ckpt", tensors))


def test_convert_writes_a_checkpoint_and_a_file_for_edsr_pytorch(tmp_path, lq, capsys):
    tensors = zoo_tensors(3)
    file = write_zoo(tmp_path / "zoo.ckpt", tensors)
    expected = zoo_output(tensors, lq, 3)
    for target in (tmp_path / "own", tmp_path / "theirs.pt"):
        assert main(["convert", "model-zoo", str(file), "--to", str(target)]) == 0
        assert "MindSpore's model zoo" in capsys.readouterr().out
        assert np.abs(Upscaler(build_model(read_weights(target)))(lq) - expected).max() < 1e-3


def test_convert_refuses_a_checkpoint_that_is_not_the_model_zoo_s(tmp_path, capsys):
    ms.save_checkpoint([{"name": "x", "data": ms.Tensor([1.0])}], str(tmp_path / "x.ckpt"))
    assert main(["convert", "model-zoo", str(tmp_path / "x.ckpt"), "--to", str(tmp_path / "own")]) == 2
    assert "is not an EDSR of MindSpore's model zoo" in capsys.readouterr().err


def network(zoo: bool) -> EDSR:
    return EDSR(2, n_resblocks=1, n_feats=4, zoo_normalisation=zoo)


def about(zoo: bool) -> dict:
    args = {"n_resblocks": 1, "n_feats": 4, "zoo_normalisation": zoo}
    return {"model": "edsr", "scale": 2, "model_args": args}


def test_zoo_normalisation_is_another_parametrisation_of_the_same_function(tmp_path, lq, checkpoint):
    folder = checkpoint(n_resblocks=1, n_feats=4, zoo_normalisation=True)
    weights = read_weights(folder)
    assert "zoo_normalisation" not in weights.about["model_args"]
    usual, zoo = build_model(weights), network(True)
    assert load_weights(zoo, weights, about(True)).differences == ()
    stored = ms.load_checkpoint(str(next(folder.rglob("model.ckpt"))))
    for parameter in zoo.get_parameters():
        np.testing.assert_allclose(parameter.asnumpy(), stored[parameter.name].asnumpy(), rtol=1e-6)
    np.testing.assert_allclose(usual.head.weight.asnumpy() * 255, zoo.head.weight.asnumpy(), rtol=1e-6)
    assert np.abs(Upscaler(usual)(lq) - Upscaler(zoo)(lq)).max() < 1e-3
    edsr_pytorch.write(
        tmp_path / "x.npz",
        weights.tensors,
        {**weights.about, "model_args": {**weights.about["model_args"], "rgb_mean": MEAN.tolist()}},
    )
    assert (
        np.abs(Upscaler(build_model(read_weights(tmp_path / "x.npz")))(lq) - Upscaler(zoo)(lq)).max() < 1e-3
    )


class WithLoss(ms.nn.Cell):
    """The mean absolute error of a network."""

    def __init__(self, net):
        super().__init__(auto_prefix=False)
        self.net = net

    def construct(self, lq, gt):
        return ops.abs(self.net(lq) - gt).mean()


def test_a_folded_step_of_adam_is_255_times_as_small_in_the_head_and_as_large_in_the_tail():
    lq, gt = ms.ops.ones((1, 3, 6, 6)) * 100, ms.ops.ones((1, 3, 12, 12)) * 200
    moved = {}
    for zoo in (False, True):
        net = network(zoo)
        before = {p.name: p.asnumpy().copy() for p in net.get_parameters()}
        optimizer = ms.nn.Adam(net.trainable_params(), 1e-3)
        optimizer(ms.grad(WithLoss(net), None, optimizer.parameters)(lq, gt))
        factors = EDSR.weight_factors(2, {"zoo_normalisation": zoo})
        moved[zoo] = {
            p.name: np.abs(p.asnumpy() - before[p.name]).max() / np.max(factors.get(p.name, 1))
            for p in net.get_parameters()
        }
    assert moved[False]["head.weight"] / moved[True]["head.weight"] == pytest.approx(255, rel=0.02)
    assert moved[True]["tail.weight"] / moved[False]["tail.weight"] == pytest.approx(255, rel=0.02)


RECIPE = """
from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train

def recipe():
    pictures = Spec("folder", root={root!r}, lr_type="on_the_fly")
    return Recipe(
        name="start", scale=2,
        model=Spec("edsr", n_resblocks={n_blocks}, n_feats={n_feats}, res_scale={res_scale}, zoo_normalisation=True),
        data=Data(train=pictures, gt_patch_px=16, batch_size=1),
        train=Train(steps=1, mode="pynative"),
        optim=Optim(lr=1e-12),  # the update changes nothing that can be measured
        benchmarks={{"crop": Benchmark(pictures, psnr={psnr})}},
    )
"""


@pytest.mark.slow
def test_every_command_takes_the_file_and_finds_the_same(tmp_path, capsys, repo_root):
    """The scores that the model zoo's formula gives are those of each command, whichever way the weights take."""
    tensors = zoo_tensors(2)
    file = write_zoo(tmp_path / "zoo.ckpt", tensors)
    root = tmp_path / "data"
    (root / "HR").mkdir(parents=True)
    gt = read_rgb(repo_root / "srtrain/data/pictures/chelsea.png")[100:148, 100:160]
    write_png(root / "HR" / "crop.png", gt)
    lq = make_lq(gt, 2)
    sr = quantise(
        zoo_output(tensors, lq.transpose(2, 0, 1)[None].astype(np.float32), 2)[0].transpose(1, 2, 0)
    )
    psnr = PROTOCOLS.build("paper_y").psnr(sr, gt, 2)

    def score(model):
        words = ["evaluate", str(model), "--sets", f"folder={root}", "--lr-type", "on_the_fly", "--json"]
        assert main(words) == 0
        return json.loads(capsys.readouterr().out)["rows"][0]["psnr"]

    assert score(file) == pytest.approx(psnr, abs=2e-3)
    write_png(tmp_path / "lq.png", lq)
    assert main(["infer", str(file), str(tmp_path / "lq.png"), "--to", str(tmp_path / "sr.png")]) == 0
    assert np.abs(read_rgb(tmp_path / "sr.png").astype(int) - sr).max() <= 1
    assert main(["export", str(file), "--to", str(tmp_path / "zoo.onnx")]) == 0
    capsys.readouterr()
    assert score(tmp_path / "zoo.onnx") == pytest.approx(psnr, abs=2e-3)

    recipe = tmp_path / "start.py"
    sizes = {"n_blocks": N_BLOCKS, "n_feats": N_FEATS, "res_scale": RES_SCALE}
    recipe.write_text(RECIPE.format(root=str(root), psnr=float(psnr), **sizes))
    assert main(["verify", str(recipe), "--weights", str(file)]) == 0
    run = tmp_path / "run"
    assert main(["run", str(recipe), f"init_from={file}", f"run_dir={run}"]) == 0
    assert main(["verify", str(recipe), "--weights", str(run)]) == 0
    capsys.readouterr()
    assert score(run) == pytest.approx(psnr, abs=2e-3)
