"""A complete search of tiny networks: its run folder, a kill and resume, and two processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mindspore as ms
import pytest

from srtrain.cli.main import main
from srtrain.models import BLOCKS

RECIPE = """
from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train

def recipe():
    return Recipe(
        name="tiny_search",
        scale=2,
        model=Spec("esrn", n_feats=8),
        data=Data(train=Spec("embedded"), gt_patch_px=24, batch_size=2),
        train=Train(steps=6, log_every=3, threads=1, mode="pynative"),
        optim=Optim(lr=2e-3),
        benchmarks={"chelsea": Benchmark(Spec("embedded", names=("chelsea",)))},
        hooks={
            "search": Spec(
                "esr_search",
                space={
                    "types": ("S", "C", "Bad"), "type_prob": (1, 1, 2), "n_convs": (1, 2), "conv_prob": (1, 1),
                    "growths": (8,), "growth_prob": (1,), "n_nodes": 2, "min_active": 1,
                    "min_params": 0, "max_params": 1_000_000,
                },
                evolution={"n_generations": 3, "n_individuals": 3, "n_elites": 2},
                crops={"lq_px": 16, "n_per_picture": 2},
            ),
        },
        plugins=("esr", "bad.py"),
        seed=5,
    )
"""

BAD = '''
"""A user's block, that fails where it has two convolutions."""

import numpy as np

from srtrain.models.blocks import ShrinkBlock
from srtrain.models import BLOCKS

@BLOCKS.register("Bad")
class Bad(ShrinkBlock):
    def __init__(self, n_in, n_convs, growth, n_out):
        super().__init__(n_in, n_convs, growth, n_out)
        self.n_convs = n_convs

    def construct(self, x):
        if self.n_convs == 2:
            raise RuntimeError("this block asks for too much")
        return super().construct(x)
'''

Run = Callable[..., int]


@pytest.fixture(autouse=True)
def _mode_of_other_tests() -> Iterator[None]:
    before = ms.get_context("mode")
    yield
    ms.set_context(mode=before)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe, at one path for all runs in this process, because it registers the user's block only once."""
    return recipe_in(tmp_path_factory.mktemp("recipe"))


@pytest.fixture
def run(recipe: Path, tmp_path: Path) -> Run:
    """Run the search in this process."""

    def run(name: str, *words: str) -> int:
        return main(["run", str(recipe), f"run_dir={tmp_path / name}", "train.threads=0", *words])

    return run


def recipe_in(folder: Path) -> Path:
    (folder / "recipe.py").write_text(RECIPE)
    (folder / "bad.py").write_text(BAD)
    return folder / "recipe.py"


def history(run_dir: Path) -> list[dict[str, Any]]:
    """Return all candidates without their times."""
    found: list[dict[str, Any]] = json.loads((run_dir / "search" / "history.json").read_text())
    for candidate in found:
        assert set(candidate.pop("seconds")) <= {"build", "compile", "train", "evaluate", "ablate"}
    return found


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The search in a separate process, from beginning to end."""
    folder = tmp_path_factory.mktemp("straight")
    process = subprocess.run(
        command(recipe_in(folder), folder / "run"), capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return folder / "run"


def command(recipe: Path, run_dir: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "srtrain.cli", "run", str(recipe), f"run_dir={run_dir}", *words]


@pytest.mark.slow
def test_it_leaves_what_people_and_programs_read(straight: Path) -> None:
    candidates = history(straight)
    assert [c["number"] for c in candidates] == list(range(9))
    assert [c["generation"] for c in candidates] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len({tuple(c["blocks"]) for c in candidates}) == 9
    failed = [c for c in candidates if c["reason"]]
    assert failed
    assert all(c["objectives"] == {} and "asks for too much" in c["reason"] for c in failed)
    assert all(any(b.startswith("Bad_2") for b in c["blocks"]) for c in failed)
    best = max((c for c in candidates if not c["reason"]), key=lambda c: c["objectives"]["psnr"])
    (front,) = json.loads((straight / "search" / "pareto.json").read_text())
    assert front["number"] == best["number"]
    text = (straight / "architecture.txt").read_text()
    assert all(block in text for block in best["blocks"])
    log = (straight / "run.log").read_text()
    assert f"Best values: [{{'worker_id': {best['number']}, 'performance': {{'flops':" in log
    assert "2 crops of chelsea, 16 px in, paper_y (Y of BT.601, 2 px border, 8 bit)" in log
    page = (straight / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert f"{best['objectives']['psnr']:.3f}" in page


@pytest.mark.slow
def test_its_curves_are_in_tensorboard(
    straight: Path, curve: Callable[[Path, str], dict[int, float]]
) -> None:
    candidates = history(straight)
    best = [
        max(c["objectives"]["psnr"] for c in candidates if c["generation"] <= g and not c["reason"])
        for g in range(3)
    ]
    assert list(curve(straight, "search/psnr_best").values()) == pytest.approx(best, abs=1e-4)
    assert curve(straight, "search/candidates") == {0: 3, 1: 6, 2: 9}


@pytest.mark.slow
def test_killed_and_resumed_it_is_the_same_search(straight: Path, tmp_path: Path) -> None:
    recipe, run_dir = recipe_in(tmp_path), tmp_path / "run"
    individuals = run_dir / "search" / "individuals"
    process = subprocess.Popen(command(recipe, run_dir), stderr=subprocess.PIPE, text=True)
    kill_once_known(individuals, 4, process)  # in the second generation
    known = {file: file.stat().st_mtime_ns for file in individuals.glob("[!.]*.json")}
    again = subprocess.run(command(recipe, run_dir, "--resume"), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert (
        f"candidates with a result from an earlier session: {len(known)}; they are not trained again"
        in again.stderr
    )
    assert history(run_dir) == history(straight)
    assert {file: file.stat().st_mtime_ns for file in known} == known


def kill_once_known(individuals: Path, n: int, process: subprocess.Popen[str]) -> None:
    wait_for(lambda: len(list(individuals.glob("[!.]*.json"))) >= n, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list(individuals.glob("[!.]*.json"))) < 9


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)


def launch(recipe: Path, run_dir: Path, *words: str) -> list[str]:
    return [
        *(
            sys.executable,
            "-m",
            "srtrain.cli",
            "launch",
            "-n",
            "2",
            "--log-dir",
            str(run_dir.parent / "logs"),
        ),
        *(str(recipe), f"run_dir={run_dir}", *words),
    ]


@pytest.mark.slow
def test_two_processes_make_the_same_search_and_a_lost_ones_candidate_is_trained_again(
    straight: Path, tmp_path: Path
) -> None:
    recipe, run_dir = recipe_in(tmp_path), tmp_path / "run"
    process = subprocess.Popen(launch(recipe, run_dir), stderr=subprocess.PIPE, text=True)
    claims = run_dir / "search" / "claims"

    def at_work() -> set[str]:
        return {file.read_text().strip() for file in claims.glob("*")} if claims.exists() else set()

    wait_for(lambda: at_work() == {"rank 0", "rank 1"}, process)
    lost = child_of_rank(process.pid, 1)
    os.kill(lost, signal.SIGKILL)
    assert process.wait(timeout=240) != 0
    assert process.stderr is not None
    assert "rank 1" in process.stderr.read()

    again = subprocess.run(launch(recipe, run_dir, "--resume"), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    log = (run_dir / "run.log").read_text()
    assert "rank 1 ended while it trained a candidate; the candidate is trained again" in log
    assert history(run_dir) == history(straight)
    ranks = {
        json.loads(f.read_text())["rank"] for f in (run_dir / "search" / "individuals").glob("[!.]*.json")
    }
    assert ranks == {0, 1}
    told = [line for line in log.splitlines() if "  candidate " in line]  # of both sessions
    assert any(line.endswith("(another rank)") for line in told)
    numbers = [re.search(r"candidate (\d+)", line)[1] for line in told]
    assert sorted(map(int, set(numbers))) == [c["number"] for c in history(run_dir)]


def child_of_rank(launcher: int, rank: int) -> int:
    """Return the process of a rank among the launcher's descendants."""
    import psutil

    for process in psutil.Process(launcher).children(recursive=True):
        if process.environ().get("RANK_ID") == str(rank) and "srtrain" in " ".join(process.cmdline()):
            return process.pid
    raise AssertionError("no such rank")


@pytest.mark.slow
def test_several_objectives_keep_a_front(run: Run, tmp_path: Path) -> None:
    words = ("hooks.search.objectives=('psnr','parameters','multi_adds')", "hooks.search.credit=ablation")
    assert run("front", *words, "hooks.search.evolution.n_generations=2") == 0
    front = json.loads((tmp_path / "front" / "search" / "pareto.json").read_text())
    everybody = [c for c in history(tmp_path / "front") if not c["reason"]]
    for one in front:
        for other in everybody:
            mine, theirs = one["objectives"], other["objectives"]
            better = (theirs["psnr"] > mine["psnr"], theirs["parameters"] < mine["parameters"])
            no_worse = (theirs["psnr"] >= mine["psnr"], theirs["parameters"] <= mine["parameters"])
            cheaper = theirs["multi_adds"] <= mine["multi_adds"]
            assert not (all(no_worse) and cheaper and any(better))
    best = max(everybody, key=lambda c: c["objectives"]["psnr"])
    assert best["number"] in {c["number"] for c in front}
    assert any(drop is not None for c in everybody for drop in c["drops"])


@pytest.mark.slow
def test_changed_settings_are_refused_on_resume(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("changed", "hooks.search.evolution.n_generations=1") == 0
    assert run("changed", "hooks.search.evolution.n_generations=1", "optim.lr=1e-3", "--resume") == 2
    assert "trains or scores its candidates with other settings" in capsys.readouterr().err
    assert run("changed", "hooks.search.evolution.n_generations=2", "--resume") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["hooks.search.space.min_parms=3"], "takes no argument 'min_parms'. Did you mean 'min_params'?"),
        (["hooks.search.space.max_params=2000"], "no network of the space has 1 to 2 blocks"),
        (["hooks.search.credit=lineag"], "Did you mean 'lineage'"),
        (["hooks.search.objectives=('psnr','flops')"], "flops"),
        (["hooks.search.evolution.selection=best"], "evolution.selection = 'best' is not known"),
        (["model=edsr"], "needs model='esrn', which is built from blocks; the model of the recipe is 'EDSR'"),
        (["hooks.search.space.types=('S','Z')", "hooks.search.space.type_prob=(1,1)"], "'Z'"),
    ],
)
def test_mistakes_are_said(run: Run, capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    assert run("mistake", *words) == 2
    assert says in capsys.readouterr().err


FULL = """
from srtrain.recipe import Benchmark, Data, Recipe, Spec, Train, standard_hooks

def recipe():
    return Recipe(
        name="full",
        scale=2,
        model=Spec("esrn"),
        data=Data(train=Spec("embedded"), gt_patch_px=24, batch_size=2),
        train=Train(steps=4, log_every=2, mode="pynative"),
        benchmarks={"chelsea": Benchmark(Spec("embedded", names=("chelsea",)))},
        hooks=standard_hooks(evaluate=Spec("evaluate", every=4), tensorboard=None, pictures=None),
    )
"""


@pytest.mark.slow
def test_what_was_found_is_trained_in_full_once(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.py").write_text(FULL)
    monkeypatch.delitem(
        BLOCKS._entries, "Bad", raising=False
    )  # other tests here have registered it in this process
    shutil.copytree(straight, tmp_path / "found")
    (other, *_) = [c["number"] for c in history(straight) if not c["reason"]]
    plugin = next(folder / "bad.py" for folder in straight.parents if (folder / "bad.py").is_file())
    # The copy of a run folder is another folder, whose plugins need consent again.
    words = [
        "--plugin",
        "esr",
        "--plugin",
        str(plugin),
        "esr-full",
        "found",
        "full.py",
        "--numbers",
        str(other),
    ]
    assert main(words) == 0
    (best,) = json.loads((straight / "search" / "pareto.json").read_text())
    said = capfd.readouterr()
    for number in {best["number"], other}:
        assert (tmp_path / "runs" / f"found_{number}" / "checkpoints" / "step_00000004").is_dir()
    assert f"{best['objectives']['parameters']:,}" in said.out
    assert "paper_y (Y of BT.601, 2 px border, 8 bit)" in said.out
    assert len(json.loads((tmp_path / "found" / "search" / "full.json").read_text())) == len(
        {best["number"], other}
    )
    assert main(words) == 0
    again = capfd.readouterr().err
    assert again.count("4 of 4 updates are done") == len({best["number"], other})
    assert "first update done" not in again  # nothing was trained again

    assert main([*words[:-1], "99"]) == 2
    assert "--numbers [99]" in capfd.readouterr().err
    assert main(["--plugin", "esr", "esr-full", "nowhere", "full.py"]) == 2
    assert "nowhere" in capfd.readouterr().err
