"""Ctrl-C ends every command at once with exit code 130, even while MindSpore is imported, and leaves nothing behind.

A run that has begun to train saves a checkpoint first: see test_run.py.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from srtrain.data.embedded import embedded

TELL = """
import os, sys, importlib.abc
class Tell(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == os.environ["TELL_AT"]:
            print("now", file=open(os.environ["TELL"], "w"), flush=True)
sys.meta_path.insert(0, Tell())
"""
"""Put into ``sitecustomize.py``: tells when a module is about to be imported."""

MOMENTS = {"early": "mindspore", "in the middle": "mindspore.nn.layer.conv"}


@pytest.fixture
def start(repo_root: Path, tmp_path: Path):
    """Start srtrain in a new process, with folders of its own for whatever it writes; kill what is left."""
    started = []
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(TELL)
    (tmp_path / "tmp").mkdir()

    def start(moment, *words):
        told = tmp_path / "told"
        environment = os.environ | {
            "TMPDIR": str(tmp_path / "tmp"),
            "SRTRAIN_CACHE": str(tmp_path / "cache"),
            "PYTHONPATH": str(tmp_path / "site"),
            "TELL": str(told),
            "TELL_AT": moment,
        }
        command = [sys.executable, "-m", "srtrain", *map(str, words)]
        process = subprocess.Popen(
            command, env=environment, cwd=repo_root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        wait_for(told.exists, process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(ready, process):
    """Wait until ``ready`` returns true, and fail if the process ends before."""
    deadline = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def interrupt(process, folder):
    """Send a Ctrl-C; return the lines on stderr after checking what every command promises."""
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    _, alive = psutil.wait_procs(below, timeout=10)
    assert alive == []
    assert [file for file in folder.rglob("*") if ".part" in file.name] == []
    assert list((folder / "tmp").glob("srtrain*")) == []
    return errors.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_ctrl_c_while_mindspore_is_imported(start, tmp_path, moment):
    process = start(moment, "run", "recipes/quickstart.py", f"run_dir={tmp_path / 'run'}")
    assert interrupt(process, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["evaluate", "export", "doctor"])
def test_every_command_ends_at_once(start, tmp_path, picture, weights, command):
    words = {
        "evaluate": (weights, "--sets", f"folder={picture.parent}", "--lr-type", "on_the_fly"),
        "export": (weights, "--to", tmp_path / "model.onnx"),
        "doctor": (),
    }
    process = start("mindspore.nn.layer.conv", command, *words[command])
    assert interrupt(process, tmp_path) == []
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.slow
def test_infer_leaves_only_whole_pictures(start, tmp_path, picture, weights):
    for number in range(400):  # enough that the command is still at work when it is interrupted
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{number}.png").write_bytes(picture.read_bytes())
    to = tmp_path / "out"
    process = start("srtrain.jobs.infer", "infer", weights, tmp_path / "in", "--to", to)
    wait_for(lambda: len(list(to.glob("*.png"))) > 2, process)
    interrupt(process, tmp_path)
    for file in to.glob("*.png"):
        assert cv2.imread(str(file)).shape == (400, 400, 3)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["srtrain.launch.supervise", "srtrain.commands.run"])
def test_launch_ends_its_ranks(start, tmp_path, moment):
    logs = tmp_path / "logs"
    words = ("-n", 2, "--log-dir", logs, "recipes/quickstart.py", f"run_dir={tmp_path / 'run'}")
    process = start(moment, "launch", *words)
    if moment == "srtrain.commands.run":
        (tmp_path / "told").unlink(missing_ok=True)
        wait_for((tmp_path / "told").exists, process)  # a rank has come to its command
    said = [line for line in interrupt(process, tmp_path) if "their output is in" not in line]
    assert len(said) <= 1, said


@pytest.fixture
def picture(tmp_path):
    """A picture of 200 × 200 pixels in a folder of its own."""
    file = tmp_path / "pictures" / "one.png"
    file.parent.mkdir()
    gt = cv2.imread(str(embedded(scale=2, names=("coffee",))[0].gt))
    assert cv2.imwrite(str(file), np.ascontiguousarray(gt[:200, :200]))
    return file


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """An EDSR with one block, as another framework writes it."""
    from safetensors.numpy import save_file

    shapes = {"head.0": (8, 3), "body.0.body.0": (8, 8), "body.0.body.2": (8, 8), "body.1": (8, 8)}
    shapes |= {"tail.0.0": (32, 8), "tail.1": (3, 8)}
    tensors = {f"{name}.weight": np.zeros((*shape, 3, 3), np.float32) for name, shape in shapes.items()}
    tensors |= {f"{name}.bias": np.zeros(shape[0], np.float32) for name, shape in shapes.items()}
    file = tmp_path_factory.mktemp("weights") / "edsr.safetensors"
    save_file(tensors, file)
    return file
