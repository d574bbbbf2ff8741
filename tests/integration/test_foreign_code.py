"""Code that a run folder or a checkpoint from someone else names is not run; one's own runs go on without questions."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from srtrain_plugins.esr.run import full

from srtrain.cli.main import main
from srtrain.data.picture import write_png
from srtrain.recipe.load import load_recipe
from srtrain.recipe.record import to_json
from srtrain.trainer.checkpoint import CheckpointStore


@pytest.fixture
def downloaded(tmp_path: Path, repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder with a checkpoint, both of which name a file in it as a plugin."""
    monkeypatch.chdir(tmp_path)
    folder = Path("R")
    folder.mkdir()
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    recipe = load_recipe(repo_root / "recipes" / "quickstart.py")
    benchmarks = {"chelsea": dataclasses.replace(recipe.benchmarks["chelsea"], psnr=40.0)}  # type: ignore[type-var]
    evil = dataclasses.replace(
        recipe, benchmarks=benchmarks, plugins=("R/evil.py",), run_dir=str(tmp_path / "R")
    )
    (folder / "recipe.json").write_text(to_json(evil))
    about = {"model": "edsr", "model_args": {}, "scale": 2, "plugins": ["R/evil.py"]}
    CheckpointStore(folder / "checkpoints", about).save(1, {"model": {"w": ms.Tensor([1.0])}}, {"hooks": {}})
    (tmp_path / "x.png").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    "line",
    [
        "run R --resume",
        "run R/recipe.json --overwrite",
        "run R --print-config",
        "run R --print-hooks",
        "launch -n 2 R --resume",
        "launch -n 2 run R",
        "verify R --weights R",
        "plugins R",
        "evaluate R --sets chelsea=R",
        "evaluate R/checkpoints/step_00000001 --engine mindspore --sets chelsea=R",
        "infer R x.png --to y.png",
        "infer R/checkpoints/step_00000001/model.ckpt x.png --to y.png",
        "export R --to r.onnx",
        "count R",
        "convert edsr-pytorch R --to r.pt",
    ],
)
def test_a_downloaded_run_folder_runs_no_code(
    downloaded: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    errors = capsys.readouterr().err
    assert errors.count("error:") == 1
    assert f"add --plugin {downloaded.absolute() / 'evil.py'}." in errors
    assert not (downloaded.parent / "ran").exists()
    assert sorted(path.name for path in downloaded.iterdir()) == ["checkpoints", "evil.py", "recipe.json"]


def test_a_search_from_someone_else_runs_no_code_in_the_full_training(downloaded: Path) -> None:
    training = full.Full("full.py", smoke=False, overrides=[], plugins=["esr"])
    with pytest.raises(full.RecipeError, match=r"add --plugin .*evil\.py\."):
        training.train(downloaded, load_recipe(downloaded), {"number": 1, "blocks": ["S_1_4_4"]})


@pytest.mark.parametrize("place", ["recipe.json", "state.json"])
def test_nothing_is_imported_from_a_run_folder_that_is_the_working_folder(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / place).write_text("{}")
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path])
    with pytest.raises(SystemExit):
        main(["--version"])
    assert not {"", str(tmp_path)} & set(sys.path)


PLUGIN = """
from srtrain.models import MODELS
from srtrain.models.edsr import EDSR

@MODELS.register("lab_net", from_run=("scale",))
class LabNet(EDSR):
    pass
"""

COMMANDS = """
import json, os, sys
import srtrain.jobs.run
from srtrain.cli.main import main
codes = {}
for line in sys.stdin.read().splitlines():
    pid = os.fork()
    if pid == 0:
        os._exit(main(line.split()))
    codes[line] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps(codes))
"""


@pytest.mark.slow
def test_own_runs_of_a_plugins_model_are_used_without_naming_the_plugin_again(
    tmp_path: Path, repo_root: Path
) -> None:
    """Each command runs in a process of its own, forked from one that has imported no plugin."""
    (tmp_path / "lab.py").write_text(PLUGIN)

    def outcome(*lines: str) -> dict[str, int]:
        done = subprocess.run(
            [sys.executable, "-c", COMMANDS],
            input="\n".join(lines), text=True, stdout=subprocess.PIPE, cwd=tmp_path, check=True, env=dict(os.environ),
        )  # fmt: skip
        codes: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
        return codes

    small = "model=lab_net model.n_resblocks=1 model.n_feats=4 train.steps=1 train.mode=pynative data.batch_size=2"
    hooks = "hooks.require_gain=None hooks.evaluate=None hooks.pictures=None"
    start = f"run {repo_root}/recipes/quickstart.py --plugin lab.py run_dir=R {small} {hooks}"
    write_png(tmp_path / "x.png", np.full((8, 8, 3), 99, np.uint8))
    other = "verify R --weights R benchmarks.chelsea.psnr=1"  # another score than the one that is expected
    ours = [start, "run R --resume train.steps=2", "count R", "export R --to r.onnx", other]
    ours += ["evaluate R --sets embedded", "infer R x.png --engine mindspore --to y.png"]
    assert outcome(*ours) == {**dict.fromkeys(ours, 0), other: 1}
    (tmp_path / "lab.py").write_text(PLUGIN + "# changed\n")
    again = "count R --plugin lab.py"
    assert outcome("count R", "run R --resume", again, "count R") == {
        "run R --resume": 2,
        again: 0,
        "count R": 0,
    }
