"""A run with a real S3 server: data from it, results to it while the server is interrupted, resume from it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from srtrain.cli.main import main
from srtrain.hooks import FIRST, HOOKS, Hook

URL = "s3://bucket/results"
SMALL = [
    "data.train=folder",
    "data.train.last=4",
    "data.gt_patch_px=32",
    "data.batch_size=2",
    "model.n_feats=4",
    "model.n_resblocks=1",
    "train.log_every=1",
    "train.mode=pynative",
    "optim.schedule=constant",
    "hooks.checkpoint.every=2",
    "hooks.checkpoint.keep=2",
    "hooks.evaluate.every=4",
    "hooks.require_gain=None",
]


class Server:
    """A real S3 server on a free port. It can be stopped and started again with its contents."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.up()
        keys = {"aws_access_key_id": "me", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        self.client: Any = boto3.client("s3", endpoint_url=self.url, **keys)

    def up(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._server.start()

    def down(self) -> None:
        self._server.stop()

    def files(self, prefix: str) -> dict[str, bytes]:
        listed = self.client.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])
        return {
            o["Key"].removeprefix(prefix): self.client.get_object(Bucket="bucket", Key=o["Key"])[
                "Body"
            ].read()
            for o in listed
        }

    def check_credentials(self, after: str) -> None:
        text = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", after.encode(), text)
        urllib.request.urlopen(request).read()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.down()


@pytest.fixture
def store(server: Server, tiny_div2k: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A bucket with the training pictures in a zip file, and environment variables with its endpoint and keys."""
    for name in ("OBS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "S3_ENDPOINT", "OBS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    server.client.create_bucket(Bucket="bucket")
    server.client.put_object(Bucket="bucket", Key="data/pictures.zip", Body=zipped(tiny_div2k))
    yield server
    for page in server.client.get_paginator("list_objects_v2").paginate(Bucket="bucket"):
        for found in page.get("Contents", []):
            server.client.delete_object(Bucket="bucket", Key=found["Key"])
    server.client.delete_bucket(Bucket="bucket")


def zipped(div2k: Path) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted((div2k / "DIV2K_train_HR").iterdir()):
            archive.write(file, f"HR/{file.name}")
        for file in sorted((div2k / "DIV2K_train_LR_bicubic" / "X2").iterdir()):
            archive.write(file, f"LR_bicubic/X2/{file.name}")
    return buffer.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in files.items() if p.name not in (".lock", ".lock.owner")}


def words(repo_root: Path, machine: Path, *more: str, steps: int = 4) -> list[str]:
    """Return the command line of a small run on a machine whose disk is the folder ``machine``."""
    options = {
        "enable_modelarts": True,
        "data_url": "s3://bucket/data",
        "checkpoint_url": URL,
        "need_unzip_in_modelarts": True,
        "data_path": machine / "data",
        "output_path": machine / "train",
    }
    hook = [
        "hooks.modelarts=modelarts",
        *(f"hooks.modelarts.{name}={value}" for name, value in options.items()),
    ]
    recipe = str(repo_root / "recipes" / "quickstart.py")
    return [
        "run",
        recipe,
        "--plugin",
        "modelarts",
        *hook,
        *SMALL,
        f"train.steps={steps}",
        "name=night",
        *more,
    ]


@pytest.fixture
def run(repo_root: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run on a machine; return the output."""

    def start(machine: Path, *more: str, steps: int = 4, code: int = 0) -> str:
        capsys.readouterr()
        assert main(words(repo_root, machine, *more, steps=steps)) == code
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return said

    return start


@HOOKS.register("outage_of_the_test")
class Outage(Hook):
    """Stops the server after one update and starts it again after another; 0 means never."""

    order = FIRST
    server: Server | None = None

    def __init__(self, off: int, on: int = 0) -> None:
        self.off = off
        self.on = on

    def after_step(self, trainer: Any, out: Any) -> None:
        assert Outage.server is not None
        if trainer.step == self.off:
            Outage.server.down()
        if trainer.step == self.on:
            Outage.server.up()


def weights(folder: Path, step: int) -> bytes:
    return (folder / "checkpoints" / f"step_{step:08d}" / "model.ckpt").read_bytes()


@pytest.mark.slow
def test_round_trip_and_resume_on_another_machine(
    store: Server, run: Callable[..., str], tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    said = run(here)
    folder = here / "train" / "night"
    assert f"data: 1 file downloaded to {here / 'data'}, 0 already there" in said
    assert "data: pictures.zip: 4 pictures in HR, 4 pictures in LR_bicubic/X2" in said
    assert f"all files of {folder} are in {URL}/night" in said
    assert store.files("results/night/") == contents(folder)
    assert {"checkpoints/latest", "checkpoints/best", "metrics.jsonl", "run.log", "recipe.json"} <= set(
        contents(folder)
    )
    assert sorted(p.name for p in (folder / "checkpoints").glob("step_*")) == [
        "step_00000002",
        "step_00000004",
    ]

    said = run(there, "--resume", steps=6)
    assert f"restored {there / 'train' / 'night'} up to step_00000004 from {URL}/night" in said
    assert "4 of 6 updates are done" in said
    assert store.files("results/night/") == contents(there / "train" / "night")
    assert not [
        name for name in store.files("results/night/") if "step_00000002" in name
    ]  # pruned here and there

    run(tmp_path / "whole", "hooks.modelarts.checkpoint_url=", steps=6)
    whole = tmp_path / "whole" / "train" / "night"
    assert weights(there / "train" / "night", 6) == weights(whole, 6)


@pytest.mark.slow
def test_a_store_that_goes_away_and_comes_back(
    store: Server, run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outage, "server", store)
    said = run(
        tmp_path, "hooks.outage=outage_of_the_test", "hooks.outage.off=1", "hooks.outage.on=6", steps=6
    )
    folder = tmp_path / "train" / "night"
    assert "finished at step 6 of 6" in said
    assert f"all files of {folder} are in {URL}/night" in said
    assert store.files("results/night/") == contents(folder)
    assert re.search(
        r"cannot upload .* at http://127\.0\.0\.1:\d+: Could not connect.*; trying again in 1 s", said
    )


@pytest.mark.slow
def test_a_store_that_stays_away_is_an_error_that_loses_nothing(
    store: Server, run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outage, "server", store)
    monkeypatch.setattr("srtrain_plugins.modelarts.transfer.N_TRIES", 2)
    said = run(tmp_path, "hooks.outage=outage_of_the_test", "hooks.outage.off=1", code=1)
    store.up()
    folder = tmp_path / "train" / "night"
    assert said.count("error: ") == 1
    assert re.search(
        r"error: the run has ended, but \d+ of its files are not in the store: checkpoints/step_0", said
    )
    assert (
        f"The files are still in {str(folder)!r}. Correct the cause and repeat the command with --resume"
        in said
    )
    before = weights(folder, 4)

    said = run(tmp_path, "--resume")
    assert "0 updates to go" in said
    assert store.files("results/night/") == contents(folder)
    assert weights(folder, 4) == before


@pytest.mark.slow
def test_a_killed_job_goes_on_from_the_store(
    store: Server, run: Callable[..., str], repo_root: Path, tmp_path: Path
) -> None:
    """A job is killed when the store has its second checkpoint; another machine resumes it."""
    (tmp_path / "fate.py").write_text(
        "import os, signal, time\nimport boto3\nfrom srtrain.hooks import Hook\nfrom srtrain.hooks import HOOKS\n"
        "@HOOKS.register('fate')\nclass Fate(Hook):\n"
        "    def after_step(self, trainer, out):\n"
        "        if trainer.step == 3:\n"
        "            s3 = boto3.client('s3', region_name='us-east-1')\n"
        "            latest = dict(Bucket='bucket', Prefix='results/night/checkpoints/latest')\n"
        "            while not s3.list_objects_v2(**latest)['KeyCount']:\n"
        "                time.sleep(0.05)\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    overrides = [word for word in words(repo_root, tmp_path)[4:] if not word.startswith("hooks.modelarts")]
    job = [
        *(f"--{name}={value}" for name, value in {
            "recipe": "recipes/quickstart.py", "data_url": "s3://bucket/data", "train_url": URL,
            "need_unzip_in_modelarts": True, "data_path": tmp_path / "data", "output_path": tmp_path / "train",
            "plugins": (str(tmp_path / "fate.py"),), "hooks.fate": "fate",
        }.items()),
        *(f"--{word}" for word in overrides),
    ]  # fmt: skip
    start = repo_root / "plugins" / "modelarts" / "start.py"
    done = subprocess.run([sys.executable, str(start), *job], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == -9, done.stderr
    assert sorted(n for n in store.files("results/night/") if n.endswith("state.json")) == [
        "checkpoints/step_00000002/state.json"
    ]
    there = tmp_path / "there"
    said = run(there, "--resume")
    assert "2 of 4 updates are done" in said
    assert store.files("results/night/") == contents(there / "train" / "night")


@pytest.mark.slow
def test_two_ranks_of_a_machine_download_once_and_one_uploads(
    store: Server, repo_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="werkzeug")
    launch = ["launch", "-n", "2", *words(repo_root, tmp_path)[1:], "train.steps=2"]
    command = [sys.executable, "-m", "srtrain.cli", *launch]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = [record.getMessage() for record in caplog.records]
    assert len([text for text in asked if "GET /bucket/data/pictures.zip" in text]) == 1
    assert len([text for text in asked if "PUT /bucket/results/night/checkpoints/latest" in text]) == 1
    there, here = store.files("results/night/"), contents(tmp_path / "train" / "night")
    assert "run.rank1.log" in there
    assert there.items() >= {n: c for n, c in here.items() if n != "run.rank1.log"}.items()


@pytest.mark.slow
def test_a_name_that_is_taken_in_the_store(store: Server, run: Callable[..., str], tmp_path: Path) -> None:
    store.client.put_object(
        Bucket="bucket", Key="results/night/checkpoints/step_00000900/model.ckpt", Body=b"old"
    )
    said = run(tmp_path / "a", "--overwrite", code=2)
    assert (
        f"error: --overwrite deletes nothing in {URL}/night: it contains checkpoints/step_00000900/" in said
    )
    recorded = dict.fromkeys(("name", "scale", "model", "data", "train", "optim", "run_dir"), "")
    store.client.put_object(
        Bucket="bucket", Key="results/night/recipe.json", Body=json.dumps(recorded).encode()
    )
    said = run(tmp_path / "a", code=2)
    assert (
        f"error: hooks.modelarts.checkpoint_url: {URL}/night already contains a run (2 files). Use --resume to "
        f"continue it, --overwrite to delete it, or name=ANOTHER.\n"
    ) in said
    run(tmp_path / "b", "--overwrite", steps=2)
    assert store.files("results/night/") == contents(tmp_path / "b" / "train" / "night")


def one_error(said: str) -> str:
    """Return the error line; the lines before it are progress messages."""
    assert said.count("error: ") == 1
    return said[said.index("error: ") :].strip()


@pytest.mark.slow
def test_mistakes_are_one_error_each_before_anything_is_trained(
    store: Server, run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = one_error(run(tmp_path, "hooks.modelarts.data_url=s3://buckte/data", code=2))
    assert said.startswith(
        f"error: hooks.modelarts.data_url: there is no bucket 'buckte' at {store.url}. Check its name"
    )
    said = one_error(run(tmp_path, "hooks.modelarts.checkpoint_url=s3://buckte/r", code=2))
    assert said.startswith("error: hooks.modelarts.checkpoint_url: there is no bucket 'buckte'")
    said = one_error(run(tmp_path, "hooks.modelarts.data_url=s3://bucket/dta", code=2))
    assert (
        said
        == "error: hooks.modelarts.data_url = 's3://bucket/dta' has no files. Check the path in the bucket."
    )
    said = one_error(run(tmp_path, "hooks.modelarts.need_unzip_files=('picture.zip',)", code=2))
    assert "Did you mean 'pictures.zip'?" in said
    said = one_error(run(tmp_path, "hooks.modelarts.data_url=/cache/data", code=2))
    assert "write s3://BUCKET/PATH or obs://BUCKET/PATH" in said

    whole = store.files("data/")["pictures.zip"]
    store.client.put_object(Bucket="bucket", Key="data/pictures.zip", Body=whole[:-200])
    said = one_error(run(tmp_path, code=2))
    assert "pictures.zip' is damaged or not readable: File is not a zip file. Download it again." in said
    assert said.endswith("The file in s3://bucket/data has the same size, so replace it there.")

    store.check_credentials("0")
    said = one_error(run(tmp_path, code=2))
    store.check_credentials("inf")
    assert said.startswith(
        f"error: hooks.modelarts.data_url: {store.url} does not allow to list s3://bucket/data: "
    )
    assert "Check the credentials in the environment: OBS_ACCESS_KEY_ID" in said

    monkeypatch.delenv("AWS_ENDPOINT_URL")
    said = one_error(run(tmp_path, "hooks.modelarts.data_url=obs://bucket/data", code=2))
    assert "needs the address of the OBS server: set OBS_ENDPOINT" in said
    assert not (tmp_path / "train" / "night").exists()


@pytest.mark.slow
def test_the_same_recipe_runs_without_a_store(
    run: Callable[..., str], tiny_div2k: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(BytesIO(zipped(tiny_div2k))) as archive:
        archive.extractall(tmp_path / "pictures")
    said = run(
        tmp_path,
        "hooks.modelarts.enable_modelarts=False",
        f"data.root={tmp_path / 'pictures'}",
        f"run_dir={tmp_path / 'run'}",
        steps=2,
    )
    assert "store" not in said
    assert (tmp_path / "run" / "checkpoints" / "latest").read_text() == "step_00000002\n"
    assert not (tmp_path / "train").exists()
