"""The package of docs/new_plugin.md, installed with pip from a folder and used by a real run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import pytest

from srtrain.recipe import Spec
from srtrain.recipe.load import load_recipe

TINY = [
    "model.n_feats=4",
    "model.n_resblocks=1",
    "train.steps=6",
    "train.log_every=2",
    "data.gt_patch_px=24",
    "data.batch_size=2",
    "hooks.evaluate=None",
]


class Laboratory:
    """The files of the page, and its package installed into a folder of its own."""

    def __init__(self, folder: Path, page: str) -> None:
        self.folder = folder
        blocks = re.findall(r"^```(?:python|toml) title=(\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        for name, text in blocks:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        (commands,) = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        self.commands = [shlex.split(line) for line in commands.splitlines()]
        self.environment = {**os.environ, "PYTHONPATH": str(folder / "site")}

    def install(self) -> None:
        install = [
            *self.commands[0][1:],
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "--target",
            "site",
        ]
        assert self.commands[0][0] == "pip"
        self._run([sys.executable, "-m", "pip", "--disable-pip-version-check", *install], 0)

    def srtrain(self, *words: str, code: int = 0, **environment: str) -> str:
        return self._run([sys.executable, "-m", "srtrain.cli", *words], code, **environment)

    def _run(self, command: list[str], code: int, **environment: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Laboratory:
    folder = tmp_path_factory.mktemp("third_party")
    made = Laboratory(folder, (repo_root / "docs" / "new_plugin.md").read_text(encoding="utf-8"))
    made.install()
    return made


def words_of(lab: Laboratory, which: str) -> list[str]:
    (found,) = [command[1:] for command in lab.commands if command[0] == "srtrain" and which in command]
    return found


@pytest.mark.slow
def test_the_installed_package_is_listed_with_what_it_registers_and_not_active(lab: Laboratory) -> None:
    shown = lab.srtrain(*words_of(lab, "plugins"))
    assert (
        "lab: found, not active  (srtrain_lab of srtrain-lab 0.3)\n"
        "    backend: pinned_cpu\n    block: wide\n    command: cores\n    hook: stop_below\n"
        "    acts before and after a run (around_run)\n"
    ) in shown


@pytest.mark.slow
def test_its_command_runs_and_is_unknown_without_the_plugin(lab: Laboratory) -> None:
    cores = lab.srtrain(*words_of(lab, "cores"))
    assert [int(core) for core in cores.split()] == sorted(os.sched_getaffinity(0))[:2]
    assert "there is no command 'cores'" in lab.srtrain("cores", code=2)


@pytest.mark.slow
def test_a_recipe_trains_with_its_backend_hook_block_and_work_around_the_run(
    lab: Laboratory, tiny_div2k: Path, tmp_path: Path
) -> None:
    core = max(os.sched_getaffinity(0))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    lab.srtrain(
        *words_of(lab, "lab_recipe.py"),
        *TINY,
        f"device.cores=({core},)",
        f"data.root={tiny_div2k}",
        "data.train=div2k",
        "data.train.last=4",
        "hooks.stop.loss=1000.0",
        f"run_dir={tmp_path / 'run'}",
        LAB_SCRATCH=str(scratch),
    )
    run = tmp_path / "run"
    recipe = load_recipe(run)
    assert recipe.device == Spec("pinned_cpu", cores=(core,))
    assert recipe.plugins == ("lab",)
    assert Path(recipe.data.root).parent == scratch  # the data came from the copy,
    assert list(scratch.iterdir()) == []  # which is gone
    assert "stopped by a loss below 1000 at step 2 of 6" in (run / "run.log").read_text()
    weights = ms.load_checkpoint(str(run / "checkpoints" / "step_00000002" / "model.ckpt"))
    assert weights["body.0.expand.weight"].shape == (12, 4, 3, 3)
    assert weights["body.0.shrink.weight"].shape == (4, 12, 3, 3)
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [2]


@pytest.mark.slow
def test_the_copy_is_removed_when_the_run_fails(lab: Laboratory, tiny_div2k: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    core = max(os.sched_getaffinity(0))
    message = lab.srtrain(
        "run",
        "lab_recipe.py",
        f"data.root={tiny_div2k}",
        "data.train=div2k",
        "data.train.last=9",
        f"device.cores=({core},)",
        f"run_dir={tmp_path / 'run'}",
        code=2,
        LAB_SCRATCH=str(scratch),
    )
    assert f"{scratch}/lab-" in message
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_its_device_says_why_it_cannot_be_used(lab: Laboratory, tmp_path: Path) -> None:
    message = lab.srtrain(
        "run", "lab_recipe.py", "device.cores=(4096,)", f"run_dir={tmp_path / 'run'}", code=2
    )
    assert "this process may not use the core(s) [4096]." in message
    assert "Traceback" not in message


@pytest.mark.slow
def test_its_names_are_unknown_to_a_recipe_that_does_not_ask_for_it(lab: Laboratory, repo_root: Path) -> None:
    message = lab.srtrain("run", str(repo_root / "recipes" / "quickstart.py"), "model.block=wide", code=2)
    assert "there is no block named 'wide'." in message
