"""Every command refuses a damaged checkpoint: exit code 2, and one message that names the file."""

import shutil

import numpy as np
import pytest
from PIL import Image

from srtrain.cli.main import main
from srtrain.models.edsr import EDSR
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.trainer.checkpoint import CheckpointStore

ARGS = {"n_resblocks": 1, "n_feats": 4}

COMMANDS = {
    "infer": "infer RUN picture.png --to out.png",
    "infer with mindspore": "infer RUN picture.png --to out.png --engine mindspore",
    "infer a file": "infer RUN/checkpoints/step_00000001/model.ckpt picture.png --to out.png",
    "evaluate": "evaluate RUN --sets pictures=SETS",
    "evaluate with onnxruntime": "evaluate RUN --sets pictures=SETS --engine onnxruntime",
    "export": "export RUN --to out.onnx",
    "convert": "convert edsr-pytorch RUN --to out.safetensors",
    "count": "count RUN",
    "init_from": "run quickstart --smoke init_from=RUN run_dir=new --overwrite",
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A working folder with a picture and a run of one checkpoint; returns the checkpoint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SRTRAIN_CACHE", str(tmp_path / "cache"))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)).save("picture.png")
    (tmp_path / "sets").mkdir()
    shutil.copy("picture.png", "sets")
    model = EDSR(2, **ARGS)
    initialise(model, kaiming_uniform(), 1)
    about = {"model": "edsr", "model_args": {**ARGS, "res_scale": 0.5}, "scale": 2}
    return CheckpointStore(tmp_path / "run" / "checkpoints", about).save(
        1, {"model": model.parameters_dict()}, {}
    )


def words(name, repo_root):
    given = {"RUN": "run", "SETS": "sets", "quickstart": str(repo_root / "recipes" / "quickstart.py")}
    text = COMMANDS[name]
    for key, value in given.items():
        text = text.replace(key, value)
    return text.split()


@pytest.mark.parametrize("name", COMMANDS)
def test_one_flipped_bit_is_refused_by_every_command(name, run, repo_root, capfd):
    for file, at in (
        (run / "model.ckpt", 200),
        (run / "state.json", (run / "state.json").read_bytes().index(b"0.5")),
    ):
        good = file.read_bytes()
        file.write_bytes(good[: at + 2] + bytes([good[at + 2] ^ 1]) + good[at + 3 :])
        assert main(words(name, repo_root)) == 2
        printed = capfd.readouterr().err
        assert f"{file.name}' is broken" in printed
        assert printed.count("error: ") == 1
        file.write_bytes(good)
