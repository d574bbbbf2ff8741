"""On a full disk, which is real and small here, a command prints one message that names the file, and exits with 1."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from srtrain.cli.main import main
from srtrain.data.picture import write_png
from srtrain.hooks.writers.event_file import EventFile, whole_records
from srtrain.models.edsr import EDSR
from srtrain.trainer.checkpoint import CheckpointStore

Fill = Callable[[int], Path]


@pytest.fixture
def fill(tmp_path: Path) -> Iterator[Fill]:
    """Make a disk of 1 MB on which so many bytes are free; skips where mounting is not allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small disk: {mounted.stderr.decode().strip()}")

    def fill(n_free: int) -> Path:
        about = os.statvfs(disk)
        with (disk / "filler").open("wb") as file:
            file.write(bytes(about.f_bavail * about.f_frsize - n_free))
        return disk

    yield fill
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint of 50 KB, and three pictures with 40 KB of noise each."""
    folder = tmp_path_factory.mktemp("things")
    args = {"n_resblocks": 1, "n_feats": 16}
    store = CheckpointStore(folder / "run" / "checkpoints", {"model": "edsr", "model_args": args, "scale": 2})
    store.save(1, {"model": EDSR(2, **args).parameters_dict()}, {"hooks": {}})
    noise = np.random.default_rng(1)
    (folder / "HR").mkdir()
    for name in "abc":
        write_png(folder / "HR" / f"{name}.png", noise.integers(0, 256, (120, 120, 3), np.uint8))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "export {things}/run --to {disk}/x.onnx",
        "export {things}/run --to {disk}/x.mindir",
        "export {things}/run --to {disk}/x.param",
        "convert edsr-pytorch {things}/run --to {disk}/x.pt",
        "convert edsr-pytorch {things}/run --to {disk}/x.safetensors",
        "infer {things}/run {things}/HR --to {disk}/out --engine mindspore",
        "infer {things}/run {things}/HR/a.png --to {things}/out.png --engine onnxruntime",  # the cached export
        "evaluate bicubic --scale 2 --sets folder={things} --lr-type on_the_fly --to {disk} --pictures",
        "data bicubic {things}/HR --to {disk}/LR --scale 2",
        "data cache folder={things} lr_type=on_the_fly --scale 2",
    ],
)
def test_a_command_says_once_that_the_disk_is_full(
    line: str, fill: Fill, things: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = fill(8192)
    monkeypatch.setenv("SRTRAIN_CACHE", str(disk / "cache"))
    assert main(line.format(disk=disk, things=things).split()) == 1
    errors = capfd.readouterr().err
    assert errors.count("error:") == 1
    assert "Traceback" not in errors
    assert "No space left on device" in errors or "are free on the disk" in errors
    assert str(disk) in errors
    whole = [file for file in disk.rglob("*") if file.is_file() and file.parent.name not in ("cache", "v1")]
    assert not [file for file in whole if file.name.startswith(".") and ".part" in file.name]


@pytest.mark.slow
@pytest.mark.parametrize("n_free", [0, 30_000, 200_000])
def test_a_run_says_once_that_the_disk_is_full(
    n_free: int, fill: Fill, things: Path, repo_root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The first start cannot be recorded; the second cannot write an evaluation; the third a checkpoint."""
    words = "model.n_resblocks=1 model.n_feats=16 train.steps=30 train.log_every=1 train.mode=pynative"
    words += " hooks.evaluate.every=5 hooks.checkpoint.every=5 hooks.require_gain=None"
    words += " data.batch_size=2 data.gt_patch_px=24"
    disk = fill(n_free)
    assert main(["run", str(repo_root / "recipes/quickstart.py"), f"run_dir={disk}/run", *words.split()]) == 1
    errors = capfd.readouterr().err
    assert errors.count("error:") == 1
    assert "Traceback" not in errors
    assert "Logging error" not in errors
    assert str(disk) in errors.partition("error:")[2]


def test_an_event_that_does_not_fit_leaves_whole_events(fill: Fill) -> None:
    from tensorboardX.summary import text

    disk = fill(8192)
    events = EventFile(disk, ".run")
    events.add(text("a", "x"), 1)
    size = events.path.stat().st_size
    with pytest.raises(OSError, match=f"No space left on device: '{events.path}'"):
        events.add(text("b", "x" * 20_000), 2)
    assert len(whole_records(events.path.read_bytes())) == size


def test_standard_output_that_is_full_is_one_message() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which only Linux has")
    words = ["launch", "rank-table", "--servers", "10.0.0.1:0", "--device-ips", "10.1.0.1"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "srtrain.cli", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "error: cannot write: No space left on device.\n")
