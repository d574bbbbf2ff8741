"""``esr-all``: search, full training and benchmarks in one command, killed and repeated; and a folder of models."""

import ast
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from srtrain.cli.main import main

SEARCH = """
from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train

def recipe():
    space = {
        "types": ("S",), "type_prob": (1,), "n_convs": (1, 2), "conv_prob": (1, 1), "growths": (4, 8),
        "growth_prob": (1, 1), "n_nodes": 2, "min_active": 1, "min_params": 0, "max_params": 1_000_000,
    }
    evolution = {"n_generations": 2, "n_individuals": 2, "n_elites": 1}
    crops = {"lq_px": 16, "n_per_picture": 1}
    return Recipe(
        name="tiny",
        scale=2,
        model=Spec("esrn", n_feats=4),
        data=Data(train=Spec("embedded"), gt_patch_px=24, batch_size=2),
        train=Train(steps=4, log_every=2, threads=1, mode="pynative"),
        optim=Optim(lr=2e-3),
        benchmarks={"crops": Benchmark(Spec("embedded", names=("chelsea",)))},
        hooks={"search": Spec("esr_search", space=space, evolution=evolution, crops=crops)},
        device=Spec("cpu", kernels="plain"),
        plugins=("esr",),
    )
"""
FULL = """
from srtrain.recipe import Benchmark, Data, Recipe, Spec, Train, standard_hooks

def recipe():
    return Recipe(
        name="full",
        scale=2,
        model=Spec("esrn"),
        data=Data(train=Spec("embedded"), gt_patch_px=24, batch_size=2),
        train=Train(steps=12, log_every=4, threads=1, mode="pynative"),
        benchmarks={"chelsea": Benchmark(Spec("embedded", names=("chelsea",)))},
        device=Spec("cpu", kernels="plain"),
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=1, keep=3),
            evaluate=Spec("evaluate", every=12),
            tensorboard=None,
            pictures=None,
        ),
    )
"""
WORDS = ["--plugin", "esr", "esr-all", "search.py", "full.py", "--best", "2", "--full", "optim.lr=1e-3"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with both recipes, which is the current one."""
    (tmp_path / "search.py").write_text(SEARCH)
    (tmp_path / "full.py").write_text(FULL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def srtrain(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own: what a plugin registers does not depend on other tests."""
    done = subprocess.run(
        [sys.executable, "-m", "srtrain", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def start_and_kill_when(there: Path, pattern: str) -> str:
    """Run the command until a file appears; kill it and its children; return what it said."""
    with (there / "said.log").open("w+") as log:
        process = subprocess.Popen([sys.executable, "-m", "srtrain", *WORDS], stdout=log, stderr=log)
        until = time.monotonic() + 600
        while not list(there.glob(pattern)):
            assert process.poll() is None, log.read()
            assert time.monotonic() < until
            time.sleep(0.02)
        family = [process, *psutil.Process(process.pid).children(recursive=True)]
        for one in family:
            one.kill()
        process.wait()
        psutil.wait_procs(family[1:], timeout=60)
        log.seek(0)
        return log.read()


@pytest.mark.slow
def test_it_is_killed_in_each_part_and_repeated(place):
    start_and_kill_when(place, "runs/tiny/search/individuals/*")
    start_and_kill_when(place, "runs/tiny_*/checkpoints/step_00000002")
    said = srtrain(*WORDS)
    assert "candidates with a result from an earlier session: 4; they are not trained again" in said.stderr
    assert re.search(r"resumed from .*tiny_\d", said.stderr)
    *_, last = said.stdout.splitlines()
    rows = json.loads((place / "runs" / "tiny" / "search" / "full.json").read_text())
    assert len({row["candidate"] for row in rows}) == 2
    assert len(list((place / "runs").glob("tiny_*"))) == 2
    (best,) = ast.literal_eval(last.removeprefix("Best values: "))
    winner = max(rows, key=lambda row: float(row["PSNR"]))
    assert best["worker_id"] == int(winner["candidate"])
    assert best["performance"]["PSNR"] == pytest.approx(float(winner["PSNR"]), abs=1e-3)
    assert best["performance"]["params"] == pytest.approx(float(winner["parameters"].replace(",", "")) / 1e3)

    told = srtrain("--plugin", "esr", "esr-full", "runs/tiny", "full.py", "--best", "9", code=2).stderr
    assert re.search(r"--best 9: 'runs/tiny' has \d trained networks", told)

    found = srtrain("evaluate", "--models-in", "runs", "--sets", "embedded", "--scale", "2", "--json").stdout
    assert len({row["model"] for row in json.loads(found)["rows"]}) == 2


@pytest.mark.slow
def test_mistakes_are_told_once(place):
    for words, told in (
        (["--full", "optim.lrr=1"], "unknown key 'optim.lrr'"),
        (["--best", "0"], "--best 0 is not 1 or more"),
    ):
        said = srtrain(*WORDS[:5], *words, code=2).stderr
        assert said.count("error:") == 1
        assert told in said
    assert not (place / "runs").exists()


def test_a_folder_without_models(tmp_path, capsys):
    assert main(["evaluate", "--models-in", str(tmp_path), "--sets", "embedded"]) == 2
    assert "there is no model in" in capsys.readouterr().err
    assert main(["evaluate", "--models-in", "nowhere", "--sets", "embedded"]) == 2
    assert "--models-in 'nowhere' is not a folder" in capsys.readouterr().err
