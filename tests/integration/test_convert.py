"""``srtrain convert``: weights of other frameworks become a checkpoint with the right scores, and back."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import safetensors.numpy

from srtrain.cli.main import main
from srtrain.data import DATASETS
from srtrain.data.store import Pictures
from srtrain.device.backend import Backend
from srtrain.evaluation.evaluator import EvalSet, Evaluator
from srtrain.metrics import PROTOCOLS
from srtrain.models.edsr import EDSR
from srtrain.models.upscale import Upscaler
from srtrain.trainer.checkpoint import CheckpointStore, find_checkpoint
from srtrain.weights import edsr_pytorch
from srtrain.weights.read import build_model, read_weights
from srtrain.weights.transfer import Weights

pytestmark = pytest.mark.slow

ARGS = {"n_resblocks": 1, "n_feats": 4}


def convert(*words: object) -> int:
    return main(["convert", "edsr-pytorch", *map(str, words)])


@pytest.fixture
def model() -> EDSR:
    ms.set_seed(5)
    return EDSR(3, **ARGS)


@pytest.fixture
def run_folder(model: EDSR, tmp_path: Path) -> Path:
    """The run folder of a recipe with ``model.n_resblocks=1 model.n_feats=4`` and defaults for the rest."""
    about = {"model": "edsr", "model_args": ARGS, "scale": 3, "recipe_hash": "abc", "benchmarks": {}}
    store = CheckpointStore(tmp_path / "runs" / "mine" / "checkpoints", about)
    store.save(20, {"model": model.parameters_dict()}, {"hooks": {"lr": {"seen": 1}}})
    return tmp_path / "runs" / "mine"


@pytest.fixture
def theirs(model: EDSR, tmp_path: Path) -> Path:
    """A file as other frameworks write it: only tensors."""
    tensors = {name: p.asnumpy() for name, p in model.parameters_dict().items()}
    about = {"model": "edsr", "scale": 3, "model_args": {**ARGS, "rgb_mean": (0.4, 0.5, 0.6)}}
    edsr_pytorch.write(tmp_path / "ours.safetensors", tensors, about)
    file = tmp_path / "theirs.npz"
    np.savez(file, **safetensors.numpy.load_file(tmp_path / "ours.safetensors"))
    return file


def output(weights: Weights) -> np.ndarray:
    lq = np.random.default_rng(2).uniform(0, 255, (1, 3, 6, 7)).astype(np.float32)
    return Upscaler(build_model(weights))(lq)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert convert(*words) == 2
    said = capsys.readouterr()
    assert said.err.count("error: ") == 1
    assert "Traceback" not in said.err
    assert "wrote" not in said.out
    return said.err


def test_a_file_of_theirs_becomes_a_checkpoint_that_knows_itself(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "weights" / "x3"
    assert convert(theirs, "--to", target, "--res-scale", "0.5") == 0
    checkpoint = find_checkpoint(target)
    assert [line.split(None, 1) for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["network", "edsr x3"],
        ["names", "EDSR-PyTorch"],
        ["blocks", "1"],
        ["features", "4"],
        ["kernel", "3 px"],
        ["res_scale", "0.5 (given)"],
        ["rgb_mean", "0.4, 0.5, 0.6 (add_mean of the file, for white = 255)"],
        ["tensors", "12"],
        ["parameters", "1,999"],
        ["wrote", str(checkpoint)],
    ]
    weights = read_weights(target)
    tensors, about = edsr_pytorch.read(theirs, 0.5)
    assert {key: weights.about[key] for key in about} == about
    assert weights.about["step"] == 0
    np.testing.assert_array_equal(output(weights), output(Weights(theirs, tensors, about)))


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors"])
@pytest.mark.parametrize("part", ["", "checkpoints/step_00000020", "checkpoints/step_00000020/model.ckpt"])
def test_a_checkpoint_becomes_a_file_of_theirs(
    run_folder: Path, tmp_path: Path, suffix: str, part: str
) -> None:
    file = tmp_path / f"mine{suffix}"
    assert convert(run_folder / part, "--to", file) == 0
    wanted, got = read_weights(run_folder), read_weights(file)
    assert got.about["model_args"]["rgb_mean"] == [0.4488, 0.4371, 0.4040]  # the default, written out
    assert got.about["recipe_hash"] == "abc"
    assert got.about["origin"]["file"] == "checkpoints/step_00000020/model.ckpt"
    assert "hooks" not in got.about
    assert set(got.tensors) == set(wanted.tensors)
    for name, tensor in wanted.tensors.items():
        np.testing.assert_array_equal(got.tensors[name], tensor)
    np.testing.assert_array_equal(output(got), output(wanted))


def test_there_and_back_again_is_the_same(theirs: Path, tmp_path: Path) -> None:
    assert convert(theirs, "--to", tmp_path / "a") == 0
    assert convert(tmp_path / "a", "--to", tmp_path / "b.pt") == 0
    assert convert(tmp_path / "b.pt", "--to", tmp_path / "c.safetensors") == 0
    got = safetensors.numpy.load_file(tmp_path / "c.safetensors")
    with np.load(theirs) as wanted:
        assert set(got) == set(wanted.files)
        for name in wanted.files:
            np.testing.assert_array_equal(got[name], wanted[name])


def test_what_is_there_is_not_touched(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, file = tmp_path / "weights", tmp_path / "weights.pt"
    for to in (target, file):
        assert convert(theirs, "--to", to) == 0
        assert "Add --overwrite to replace it" in refused(capsys, theirs, "--to", to)
        assert convert(theirs, "--to", to, "--overwrite", "--res-scale", "0.25") == 0
        assert read_weights(to).about["model_args"]["res_scale"] == 0.25
    (target / "step_00000010").mkdir()
    message = refused(capsys, theirs, "--to", target, "--overwrite")
    assert "files that no conversion wrote (step_00000010)" in message
    assert "is a file" in refused(capsys, theirs, "--to", theirs.rename(tmp_path / "file"), "--overwrite")
    (tmp_path / "folder.pt").mkdir()
    assert "is a folder" in refused(capsys, file, "--to", tmp_path / "folder.pt", "--overwrite")


def test_mistakes(run_folder: Path, theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "would be one too" in refused(capsys, run_folder, "--to", tmp_path / "a")
    assert "is for files that do not store it" in refused(
        capsys, run_folder, "--to", tmp_path / "a.pt", "--res-scale", "1"
    )
    assert "there is no file" in refused(capsys, tmp_path / "nothing.pt", "--to", tmp_path / "a")
    assert "does not exist" in refused(capsys, tmp_path / "nothing", "--to", tmp_path / "a.pt")
    theirs.write_bytes(theirs.read_bytes()[:-50])
    assert "cut short" in refused(capsys, theirs, "--to", tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "a.pt").exists()


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch PROOF",)


def test_a_malicious_file_is_refused_in_a_process_of_its_own(repo_root: Path, tmp_path: Path) -> None:
    (tmp_path / "EDSR_x2.pt").write_bytes(pickle.dumps({"head.0.weight": RunsCode()}))
    done = subprocess.run(
        [sys.executable, repo_root / "tools" / "convert.py", "edsr-pytorch", "EDSR_x2.pt", "--to", "a"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(repo_root)},
    )
    assert done.returncode == 2
    assert f"error: 'EDSR_x2.pt' asks for '{os.system.__module__}.system'" in done.stderr
    assert "Nothing of it was run." in done.stderr
    assert "Traceback" not in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["EDSR_x2.pt"]


@pytest.mark.shared_data
def test_the_documentation_shows_what_is_printed(
    shared_data: Path,
    repo_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(shared_data / "weights" / "EDSR_f64b5_x2" / "edsr_f64b5_x2.pt", tmp_path)
    monkeypatch.chdir(tmp_path)
    page = (repo_root / "docs" / "others_weights.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^srtrain (convert .* edsr_f64b5_x2\.pt .*)$", page, re.MULTILINE)
    assert main(command.split()) == 0
    assert textwrap.indent(capsys.readouterr().out, "    ") in page


def score(weights: Weights, name: str, root: Path) -> tuple[float, float]:
    pictures = Pictures(DATASETS.build(name, root=str(root), scale=2), 2)
    benchmark = EvalSet(name, pictures, 2, PROTOCOLS.build("paper_y"))
    result = Evaluator(Upscaler(build_model(weights)), Backend()).run(benchmark)
    return result.psnr, result.ssim


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("file", "sets"),
    [
        ("edsr_f64b5_x2.pt", ("set5", "set14")),
        ("edsr_f64b5_x2_stdtail.npz", ("set5",)),
        ("edsr_f64b5_x2_stdtail.safetensors", ("set5",)),
    ],
)
def test_real_weights_score_what_they_score_in_pytorch(
    shared_data: Path, tmp_path: Path, file: str, sets: tuple[str, ...]
) -> None:
    wanted = {"set5": (37.652, 0.9592), "set14": (33.250, 0.9147)}
    assert convert(shared_data / "weights" / "EDSR_f64b5_x2" / file, "--to", tmp_path) == 0
    weights = read_weights(tmp_path)
    assert weights.about["model_args"] == {
        "n_resblocks": 5,
        "n_feats": 64,
        "kernel_px": 3,
        "res_scale": 1.0,
        "rgb_mean": [0, 0, 0],
    }
    for name in sets:
        psnr, ssim = score(weights, name, shared_data)
        assert psnr == pytest.approx(wanted[name][0], abs=0.005)
        assert ssim == pytest.approx(wanted[name][1], abs=0.0002)


@pytest.mark.shared_data
def test_a_mean_that_these_weights_do_not_have_shows_at_once(shared_data: Path) -> None:
    """The same mistake in PyTorch gives 16.933 dB: subtracting 255 times the mean of DIV2K from the input."""
    weights = read_weights(shared_data / "weights" / "EDSR_f64b5_x2" / "edsr_f64b5_x2.pt")
    del weights.about["model_args"]["rgb_mean"]  # and the network takes its default
    assert score(weights, "set5", shared_data)[0] == pytest.approx(16.933, abs=0.005)
