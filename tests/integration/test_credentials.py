"""Credentials in addresses are in no file of a run folder and in no message."""

from __future__ import annotations

from pathlib import Path

import pytest

from srtrain.cli.main import main

HOOK = """
from srtrain.errors import UserError
from srtrain.hooks import HOOKS, Hook

@HOOKS.register("sender")
class Sender(Hook):
    def __init__(self, url, fails=False):
        self.url, self.fails = url, fails

    def setup(self, trainer):
        trainer.log.info(f"sending to {self.url}")
        if self.fails:
            raise UserError(f"cannot send to {self.url!r}")
"""
RECIPE = """
from srtrain.recipe import Data, Recipe, Spec, Train

# tested with https://bob:hunter2@example.org
def recipe():
    return Recipe("sends", 2, Spec("edsr", n_resblocks=1, n_feats=4), Data(train=Spec("embedded"), batch_size=2),
                  Train(steps=1, mode="pynative"), plugins=("sender.py",))
"""
URL = "s3://bob:hunter2@bucket/path?token=hunter2&part=7&X-Amz-Signature=hunter2"
WITHOUT = "s3://***@bucket/path?token=***&part=7&X-Amz-Signature=***"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "sender.py").write_text(HOOK)
    (folder / "recipe.py").write_text(RECIPE)
    return folder / "recipe.py"


@pytest.mark.slow
def test_credentials_are_not_recorded_and_given_again_on_resume(
    recipe: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = str(tmp_path / "run")
    words = ["run", str(recipe), f"run_dir={run}", "hooks.send=sender", f"hooks.send.url={URL}"]
    monkeypatch.setattr("sys.argv", ["srtrain", *words])
    assert main(words) == 0
    assert main(["run", run, "--resume", "train.steps=2"]) == 2
    assert "without the credentials in hooks.send.url. Give the whole address again" in capfd.readouterr().err
    assert main(["run", run, "--resume", "train.steps=2", f"hooks.send.url={URL}"]) == 0
    assert main(["run", run, "--resume", f"hooks.send.url={URL}", "--print-config"]) == 0
    assert main(["run", run, "--resume", "hooks.send.fails=True", f"hooks.send.url={URL}", "--debug"]) == 2
    files = [file for file in Path(run).rglob("*") if file.is_file()]
    for file in files:
        assert b"hunter2" not in file.read_bytes(), file
    for name in (
        "recipe.json",
        "command.txt",
        "run.log",
        next(f.name for f in files if "tfevents" in f.name),
    ):
        assert WITHOUT.encode() in (Path(run) / name).read_bytes(), name
    assert "changed since the run began: hooks.send.url" not in (Path(run) / "run.log").read_text()
    shown = "".join(capfd.readouterr())
    assert "hunter2" not in shown
    assert f"error: cannot send to '{WITHOUT}'" in shown


def test_a_store_refuses_credentials_in_its_address(
    capfd: pytest.CaptureFixture[str], repo_root: Path, tmp_path: Path
) -> None:
    hook = [
        "hooks.modelarts=modelarts",
        "hooks.modelarts.enable_modelarts=True",
        f"hooks.modelarts.data_url={URL}",
    ]
    recipe = str(repo_root / "recipes" / "quickstart.py")
    hook.append("hooks.modelarts.output_path=" + str(tmp_path))
    assert main(["run", recipe, "--plugin", "modelarts", *hook]) == 2
    errors = capfd.readouterr().err
    assert f"hooks.modelarts.data_url = '{WITHOUT}' contains credentials. Leave them out and set" in errors
    assert "hunter2" not in errors
