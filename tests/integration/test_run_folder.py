"""Which folder a run uses, what a refused start leaves, and what --overwrite deletes, from the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from srtrain.cli.main import main

TINY = (
    "model.n_resblocks=1",
    "model.n_feats=4",
    "data.gt_patch_px=16",
    "data.batch_size=2",
    "train.steps=2",
    "train.log_every=1",
    "train.mode=pynative",
    "hooks.evaluate=None",
    "hooks.tensorboard=None",
    "hooks.require_gain=None",
)


@pytest.fixture(scope="module")
def first_run(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, started in its project folder with a relative run_dir, root and init_from."""
    project = tmp_path_factory.mktemp("made") / "project"
    shutil.copytree(repo_root / "srtrain" / "data" / "pictures", project / "data")
    for file in (project / "data").glob("*.md"):
        file.unlink()
    before = Path.cwd()
    os.chdir(project)
    try:
        recipe = str(repo_root / "recipes" / "quickstart.py")
        assert main(["run", recipe, *TINY, "run_dir=runs/weights"]) == 0
        words = (
            "data.train=folder",
            "data.train.lr_type=on_the_fly",
            "data.root=data",
            "init_from=runs/weights",
        )
        assert main(["run", recipe, *TINY, *words, "run_dir=runs/n"]) == 0
    finally:
        os.chdir(before)
    return project


@pytest.fixture
def project(first_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, which is the working folder; the original is gone for the time being."""
    copy = Path(shutil.copytree(first_run, tmp_path / "project"))
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must be refused; return its one message."""

    def refused(*words: str) -> str:
        capsys.readouterr()
        assert main(list(words)) == 2
        said = capsys.readouterr().err
        assert said.count("error: ") == 1
        assert "Traceback" not in said
        return said

    return refused


def latest(folder: Path) -> str:
    return (folder / "checkpoints" / "latest").read_text().strip()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_named_folder_is_the_run_folder_after_a_move(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "runs" / "n").rename(project / "runs" / "m")
    assert main(["run", "runs/m", "--resume", "train.steps=3"]) == 0
    assert not (project / "runs" / "n").exists()
    assert latest(project / "runs" / "m") == "step_00000003"
    said = capsys.readouterr().err
    assert f"run_dir = {str(project / 'runs' / 'm')!r} (was " in said
    assert "2 of 3 updates are done" in said


@pytest.mark.parametrize("named", ["copy", "copy/", "copy/recipe.json", "link", "../project/copy"])
def test_a_copy_is_a_run_of_its_own(project: Path, named: str) -> None:
    shutil.copytree("runs/n", "copy")
    Path("link").symlink_to("copy")
    before = contents(project / "runs" / "n")
    assert main(["run", named, "--resume", "train.steps=3"]) == 0
    assert latest(project / "copy") == "step_00000003"
    assert main(["run", named, "--overwrite", "train.steps=1"]) == 0
    assert latest(project / "copy") == "step_00000001"
    assert (project / "copy" / "recipe.py").is_file()
    assert contents(project / "runs" / "n") == before


def test_it_works_from_another_folder_with_everything_moved(
    first_run: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data root and the initial weights are found beside the run; without a checkpoint both are read."""
    hidden = first_run.with_name("hidden")
    first_run.rename(hidden)
    try:
        shutil.rmtree(project / "runs" / "n" / "checkpoints")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert main(["run", "../project/runs/n", "--resume"]) == 0
    finally:
        hidden.rename(first_run)
    recorded = json.loads((project / "runs" / "n" / "recipe.json").read_text())
    assert recorded["data"]["root"] == str(project / "data")
    assert recorded["init_from"] == str(project / "runs" / "weights")
    assert recorded["run_dir"] == str(project / "runs" / "n")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_it_works_from_another_folder_with_the_data_left_where_they_were(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_run: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    shutil.move(project / "runs" / "n", "here")
    assert main(["run", "here", "--resume", "train.steps=3"]) == 0
    recorded = json.loads(Path("here/recipe.json").read_text())
    assert recorded["data"]["root"] == str(first_run / "data")


def test_the_recipe_file_resumes_its_run_from_another_folder(
    project: Path, repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_run: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    words = ("data.train=folder", "data.train.lr_type=on_the_fly", f"data.root={first_run}/data")
    recipe = str(repo_root / "recipes" / "quickstart.py")
    init_from = os.path.relpath(first_run / "runs" / "weights")
    where = ("run_dir=../project/runs/n", f"init_from={init_from}")
    assert main(["run", recipe, *TINY, *words, *where, "train.steps=3", "--resume"]) == 0


def test_another_run_dir_contradicts_the_folder_that_is_resumed(
    project: Path, refused: Callable[..., str]
) -> None:
    assert "contradicts --resume, which continues the run in 'runs/n'" in refused(
        "run", "runs/n", "--resume", "run_dir=runs/m"
    )
    assert not (project / "runs" / "m").exists()


def test_resume_without_a_run_is_refused_and_leaves_nothing(
    project: Path, repo_root: Path, refused: Callable[..., str]
) -> None:
    recipe = str(repo_root / "recipes" / "quickstart.py")
    assert "there is no run to resume in" in refused("run", recipe, *TINY, "run_dir=runs/new", "--resume")
    assert not (project / "runs" / "new").exists()


def test_a_recorded_run_without_a_checkpoint_begins_and_says_so(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project / "runs" / "n" / "checkpoints")
    assert main(["run", "runs/n", "--resume"]) == 0
    said = capsys.readouterr().err
    assert (
        f"there is no checkpoint in {project / 'runs' / 'n' / 'checkpoints'} yet: starting at step 0" in said
    )


@pytest.mark.parametrize(
    "mistake",
    [
        ("data.train=div2k_train", "data.root=nowhere"),
        ("data.train=div2k_train",),
        ("optim.lr=-1.0",),
        ("data.batch_size=2", "train.accumulate=3"),
        ("data.gt_patch_px=4096",),
        ("init_from=nowhere",),
        ("train.sink_steps=2",),
        ("benchmarks.chelsea.data.names=('nobody',)", "hooks.evaluate=evaluate"),
        ("--resume", "nowhere"),
    ],
)
def test_a_refused_start_leaves_nothing_and_the_corrected_command_works(
    project: Path, repo_root: Path, refused: Callable[..., str], mistake: tuple[str, ...]
) -> None:
    recipe = str(repo_root / "recipes" / "quickstart.py")
    refused("run", recipe, *TINY, "run_dir=runs/deep/new", *mistake)
    assert not (project / "runs" / "deep").exists()


@pytest.mark.parametrize(
    "mistake", [("train.steps=1",), ("seed=3",), ("data.root=nowhere",), ("train.sink_steps=2",)]
)
def test_a_refused_resume_changes_nothing(
    project: Path, refused: Callable[..., str], mistake: tuple[str, ...]
) -> None:
    before = contents(project / "runs" / "n")
    refused("run", "runs/n", "--resume", *mistake)
    refused("run", "runs/n", "--overwrite", "data.root=nowhere")
    assert contents(project / "runs" / "n") == before
    assert main(["run", "runs/n", "--resume"]) == 0


@pytest.mark.slow
def test_a_refused_search_leaves_nothing(project: Path, repo_root: Path, refused: Callable[..., str]) -> None:
    search = str(repo_root / "recipes" / "esr_x2_t91_search.py")
    words = (
        "data.train=embedded",
        "benchmarks.set5.data=embedded",
        "train.mode=pynative",
        "run_dir=runs/search",
    )
    space = ("hooks.search.space.min_params=0", "hooks.search.space.max_params=2000")
    assert "no network of the space has" in refused("run", search, *words, *space)
    assert not (project / "runs" / "search").exists()


@pytest.mark.slow
def test_a_refused_launch_leaves_nothing(project: Path, repo_root: Path, refused: Callable[..., str]) -> None:
    recipe = str(repo_root / "recipes" / "quickstart.py")
    words = (recipe, *TINY, "run_dir=runs/new", "data.batch_size=3")
    assert "cannot be divided" in refused_launch(words)
    assert not (project / "runs" / "new").exists()


def refused_launch(words: tuple[str, ...]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "srtrain.cli", "launch", "-n", "2", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout
    return done.stdout


FADING = """
import shutil
from srtrain.hooks import HOOKS, Hook

@HOOKS.register("fading")
class Fading(Hook):
    def after_step(self, trainer, out):
        if trainer.step == 2:
            shutil.rmtree(trainer.run_dir)
"""


@pytest.mark.parametrize(
    "more", [(), ("hooks.metrics=None", "hooks.checkpoint=None"), ("hooks.metrics=None",)]
)
def test_a_run_whose_folder_disappears_fails(
    project: Path, repo_root: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    Path("fading.py").write_text(FADING.replace('"fading"', f'"fading{len(more)}"'))
    Path(f"fading{len(more)}.py").write_text(Path("fading.py").read_text())
    recipe = str(repo_root / "recipes" / "quickstart.py")
    plugin = ("--plugin", f"fading{len(more)}.py", f"hooks.fading=fading{len(more)}", "train.steps=4")
    assert main(["run", recipe, *TINY, *plugin, "run_dir=runs/new", *more]) == 1
    said = capsys.readouterr().err
    assert said.count("error: ") == 1
    assert "Traceback" not in said
    assert "disappeared" in said or "deleted or moved" in said
    assert not (project / "runs" / "new").exists()
