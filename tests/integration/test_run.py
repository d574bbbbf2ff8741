"""A recipe trained from the command line on a folder laid out like DIV2K, and the run folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from srtrain.cli.main import main
from srtrain.recipe.load import load_recipe

TINY = (
    "model.n_resblocks=1",
    "model.n_feats=4",
    "data.batch_size=2",
    "data.cache=memory",
    "train.log_every=1",
    "hooks.self_ensemble=None",
)
# The sets by name insist on all 800 and 100 pictures; "div2k" takes a part of them.
PART_OF_DIV2K = (
    "data.train=div2k",
    "data.train.last=4",
    "benchmarks.div2k_valid.data=div2k",
    "benchmarks.div2k_valid.data.split=valid",
    "benchmarks.div2k_valid.data.first=801",
    "benchmarks.div2k_valid.data.last=802",
)


@pytest.fixture(scope="module")
def x2_run(tiny_div2k: Path, repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a small version of the x2 recipe."""
    run_dir = tmp_path_factory.mktemp("runs") / "x2"
    code = main(
        [
            "run",
            str(repo_root / "recipes" / "edsr_x2.py"),
            *TINY,
            *PART_OF_DIV2K,
            f"data.root={tiny_div2k}",
            f"run_dir={run_dir}",
            "data.gt_patch_px=32",
            "train.steps=4",
            "hooks.checkpoint.every=2",
            "hooks.evaluate.every=2",
            "hooks.self_ensemble=self_ensemble_evaluate",
        ]
    )
    assert code == 0
    return run_dir


def test_a_run_leaves_its_record(x2_run: Path, repo_root: Path) -> None:
    resolved = load_recipe(x2_run)
    assert (resolved.name, resolved.model.args["n_feats"], resolved.train.steps) == ("edsr_x2", 4, 4)
    assert (x2_run / "recipe.py").read_text() == (repo_root / "recipes" / "edsr_x2.py").read_text()
    assert "mindspore" in json.loads((x2_run / "env.json").read_text())
    assert (x2_run / "command.txt").read_text().count("\n") == 1
    assert sorted(p.name for p in (x2_run / "checkpoints").iterdir() if p.is_dir()) == [
        "step_00000002",
        "step_00000004",
    ]


def test_metrics_have_every_step_and_every_evaluation(x2_run: Path) -> None:
    lines = [json.loads(line) for line in (x2_run / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4]
    assert {"lr", "pictures_per_second", "data_wait", "eta_seconds", "peak_memory_gb"} <= set(steps[-1])
    scores = [(line["step"], line["method"]) for line in lines if "psnr" in line]
    assert scores == [(2, "plain"), (4, "plain"), (4, "self-ensemble x8")]
    assert all(
        "8 px border" in line["protocol"] and line["n_pictures"] == 2 for line in lines if "psnr" in line
    )


def test_best_names_a_saved_step_with_its_protocol(x2_run: Path) -> None:
    best = json.loads((x2_run / "checkpoints" / "best.json").read_text())
    assert (x2_run / "checkpoints" / (x2_run / "checkpoints" / "best").read_text().strip()).is_dir()
    assert best["metric"] == "psnr/div2k_valid"
    assert "div2k_rgb" in best["protocol"]


def test_console_says_what_a_watcher_wants_to_know(x2_run: Path) -> None:
    log = (x2_run / "run.log").read_text()
    for words in ("step 4/4", "loss", "lr", "pictures/s", "data wait", "ETA", "peak", "gain", "div2k_rgb"):
        assert words in log


@pytest.mark.slow
def test_x3_starts_from_x2(x2_run: Path, tiny_div2k: Path, repo_root: Path, tmp_path: Path) -> None:
    code = main(
        [
            "run",
            str(repo_root / "recipes" / "edsr_x3_finetune.py"),
            *TINY,
            *PART_OF_DIV2K,
            f"data.root={tiny_div2k}",
            f"run_dir={tmp_path / 'x3'}",
            f"init_from={x2_run}",
            "data.gt_patch_px=48",
            "train.steps=1",
            "train.mode=pynative",
        ]
    )
    assert code == 0
    log = (tmp_path / "x3" / "run.log").read_text()
    assert "skipped: upsampler.0.weight, upsampler.0.bias" in log
    assert "left as initialised: upsampler.0.weight, upsampler.0.bias" in log
    assert "10 loaded" in log  # head, two convolutions of the block, body_end, tail; weight and bias each


@pytest.mark.slow
def test_a_recipe_can_degrade_its_input(
    tiny_div2k: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blur and JPEG in a recipe change the batches, and therefore the loss of the same step."""
    recipe = tmp_path / "degraded.py"
    losses = {}
    for name, steps in {
        "bicubic": "()",
        "degraded": '(Spec("blur", sigma_px=(1.0, 2.0)), Spec("jpeg", quality=(30, 60)))',
        "misspelt": '(Spec("blurr", sigma_px=1.0),)',
    }.items():
        recipe.write_text(DEGRADED.format(steps=steps))
        code = main(["run", str(recipe), f"data.root={tiny_div2k}", f"run_dir={tmp_path / name}"])
        assert code == (2 if name == "misspelt" else 0)
        if code == 0:
            losses[name] = json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[0])["loss"]
    assert losses["bicubic"] != losses["degraded"]
    assert (
        "data.degrade[0]: there is no degradation named 'blurr'. Did you mean 'blur'?"
        in capsys.readouterr().err
    )


DEGRADED = """
from srtrain.recipe import Data, Recipe, Spec, Train, standard_hooks

def recipe():
    return Recipe(
        name="degraded",
        scale=2,
        model=Spec("edsr", n_resblocks=1, n_feats=4),
        data=Data(
            train=Spec("div2k", last=4, lr_type="on_the_fly"),
            gt_patch_px=32,
            batch_size=2,
            cache="mmap",
            degrade={steps},
        ),
        train=Train(steps=1, log_every=1, mode="pynative"),
        hooks=standard_hooks(evaluate=None, tensorboard=None),
    )
"""


def test_the_same_folder_twice_is_refused(
    x2_run: Path, tiny_div2k: Path, repo_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(x2_run.rglob("*"))
    arguments = [str(repo_root / "recipes" / "edsr_x2.py"), f"data.root={tiny_div2k}", f"run_dir={x2_run}"]
    assert main(["run", *arguments]) == 2
    assert "is not empty" in (message := capsys.readouterr().err)
    assert "--resume" in message
    assert "--overwrite" in message
    assert sorted(x2_run.rglob("*")) == before


@pytest.mark.slow
def test_a_finished_run_can_be_made_longer(x2_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(x2_run), "--resume", "train.steps=5", "device.kernels=plain"]) == 0
    message = capsys.readouterr().err
    assert "changed since the run began: device.kernels = 'plain'" in message
    assert "changed since the run began: kernels plain (was f43, " in message
    assert "changed since the run began: train.steps = 5 (was 4)" in message
    assert "step 5/5" in message


def test_a_resumed_run_keeps_its_network(x2_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(x2_run), "--resume", "model.n_feats=8"]) == 2
    assert "model.n_feats was 4 and is now 8" in capsys.readouterr().err


def quickstart(repo_root: Path, run_dir: Path, *arguments: str) -> list[str]:
    """Return the command line that starts a short quickstart in a separate process."""
    return [
        sys.executable,
        str(repo_root / "tools" / "run.py"),
        str(repo_root / "recipes" / "quickstart.py"),
        *TINY[:3],
        f"run_dir={run_dir}",
        "data.gt_patch_px=16",
        "hooks.require_gain=None",
        "hooks.evaluate=None",
        "hooks.ema=ema",
        "optim.schedule.warmup=5",
        *arguments,
    ]


def wait_for(condition, process: subprocess.Popen[bytes], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the run ended before it could be interrupted"
        assert time.monotonic() < deadline, "the run did not get that far"
        time.sleep(0.001)


SLOW_HOOK = """
import os
import time
from srtrain.hooks import Hook
from srtrain.hooks import HOOKS

@HOOKS.register("slow")
class Slow(Hook):
    def after_step(self, trainer, out):
        if "WAIT_FOR_THE_KILL" in os.environ:  # it always comes in the middle
            time.sleep(0.05 if trainer.step < 13 else 60)
"""


@pytest.mark.slow
def test_killed_and_resumed_is_the_same_run(repo_root: Path, tmp_path: Path) -> None:
    """20 steps equal 10 + SIGKILL + resume + 10: weights, moments, averages, losses and rates, bit for bit.

    The killed run uses a compile cache, so the resumed one runs graphs compiled by another process.
    """
    arguments = ("train.steps=20", "train.log_every=1", "hooks.checkpoint.every=10")
    subprocess.run(quickstart(repo_root, tmp_path / "straight", *arguments), check=True)
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW_HOOK)
    plugin = ("--plugin", str(slow), "hooks.slow=slow")
    cache = f"train.compile_cache={tmp_path / 'graphs'}"
    killed = subprocess.Popen(
        quickstart(repo_root, tmp_path / "killed", *arguments, cache, *plugin),
        env={**os.environ, "WAIT_FOR_THE_KILL": "1"},
    )
    latest = tmp_path / "killed" / "checkpoints" / "latest"
    wait_for(lambda: latest.exists() and _lines(tmp_path / "killed") >= 12, killed)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert latest.read_text().strip() == "step_00000010"
    graphs = {file: file.stat().st_mtime_ns for file in (tmp_path / "graphs").rglob("*.mindir")}
    assert graphs
    resume = (*arguments, cache, *plugin, "--resume")
    subprocess.run(quickstart(repo_root, tmp_path / "killed", *resume), check=True)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "graphs").rglob("*.mindir")} == graphs

    straight, resumed = (tmp_path / name / "checkpoints" / "step_00000020" for name in ("straight", "killed"))
    for group in ("model", "optimizer", "ema"):
        assert (straight / f"{group}.ckpt").read_bytes() == (resumed / f"{group}.ckpt").read_bytes()
    curves = [
        [
            (line["step"], line["loss"], line["lr"])
            for line in map(json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines())
        ]
        for name in ("straight", "killed")
    ]
    assert len(curves[0]) == 20
    assert curves[0] == curves[1]


def _lines(run_dir: Path) -> int:
    file = run_dir / "metrics.jsonl"
    return file.read_text().count("\n") if file.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_polite_signal_saves_and_stops(repo_root: Path, tmp_path: Path, number: int, code: int) -> None:
    run_dir = tmp_path / "run"
    command = quickstart(repo_root, run_dir, "train.steps=100000", "train.log_every=1")
    process = subprocess.Popen(command)
    wait_for(lambda: _lines(run_dir) >= 3, process)
    os.kill(process.pid, number)
    assert process.wait(timeout=240) == code
    steps = [json.loads(line)["step"] for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert (run_dir / "checkpoints" / "latest").read_text().strip() == f"step_{steps[-1]:08}"
