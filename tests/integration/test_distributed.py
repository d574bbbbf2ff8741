"""Two real processes connected by MindSpore's collectives: their results, and how they end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
import psutil
import pytest

from srtrain.cli.main import main
from srtrain.launch.cluster import free_port

RECIPE = """
from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train, standard_hooks

def recipe():
    return Recipe(
        name="tiny",
        scale=2,
        model=Spec("edsr", n_resblocks=1, n_feats=8),
        data=Data(train=Spec("div2k", last=4), gt_patch_px=24, batch_size=4),
        train=Train(steps=6, log_every=1, threads=1),
        optim=Optim(lr=1e-3, clip_norm=0.5),
        benchmarks={"three": Benchmark(Spec("div2k", first=1, last=3))},
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=3),
            evaluate=Spec("evaluate", every=6),
            tensorboard=None,
            pictures=None,
            seen=Spec("seen"),
        ),
        plugins=("hooks.py",),
    )
"""

HOOKS = """
import ctypes, os, signal
from srtrain.hooks import LAST, Hook
from srtrain.hooks import HOOKS

@HOOKS.register("seen")
class Seen(Hook):
    '''Writes down which pictures each rank trains on, and how each update ends.'''

    def before_step(self, trainer, batch):
        with (trainer.run_dir / f"seen.rank{trainer.backend.rank}").open("a") as file:
            print(trainer.step, *(f"{s.name}:{s.place.y}:{s.place.x}:{s.place.turn}" for s in batch.samples), file=file)

@HOOKS.register("fault")
class Fault(Hook):
    '''Goes wrong on one rank.'''

    order = LAST

    def __init__(self, kind: str, step: int = 2, rank: int = 1):
        self.kind, self.step, self.rank = kind, step, rank

    def after_step(self, trainer, out):
        if trainer.backend.rank == self.rank and trainer.step == self.step:
            if self.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.kind == "hang":  # in native code that holds the interpreter's lock
                trainer.backend.progress.watch(3)  # only now: compiling may take longer on a busy machine
                while True:
                    ctypes.PyDLL(None).sleep(600)
"""


ALL_CORES = "train.threads=0"  # as every test in this process: MindSpore cannot change it later
BRIEF = ("train.mode=pynative", "hooks.evaluate=None")  # compiles nothing


@pytest.fixture(scope="module")
def recipe(tiny_div2k: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the command-line arguments that train the tiny recipe."""
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "hooks.py").write_text(HOOKS)
    (folder / "tiny.py").write_text(RECIPE)
    return [str(folder / "tiny.py"), f"data.root={tiny_div2k}"]


@pytest.fixture(scope="module")
def alone(recipe: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    run_dir = tmp_path_factory.mktemp("runs") / "alone"
    assert main(["run", *recipe, f"run_dir={run_dir}", ALL_CORES]) == 0
    return run_dir


@pytest.fixture(scope="module")
def together(recipe: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The same run with two processes, and its console output."""
    run_dir = tmp_path_factory.mktemp("runs") / "together"
    result = launch(*recipe, f"run_dir={run_dir}")
    assert result.returncode == 0, result.stdout
    return run_dir, result.stdout


def srtrain(*words: str) -> list[str]:
    """Return a command line that starts a separate process."""
    return [sys.executable, "-m", "srtrain.cli", *words]


def launch(*words: str, n: int = 2) -> subprocess.CompletedProcess[str]:
    """Run two processes until they end."""
    return subprocess.run(
        srtrain("launch", "-n", str(n), *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )


def weights(run_dir: Path, step: int = 6) -> dict[str, np.ndarray]:
    """Return the weights and the optimizer's state of a checkpoint."""
    folder = run_dir / "checkpoints" / f"step_{step:08}"
    both = [ms.load_checkpoint(str(folder / f"{group}.ckpt")) for group in ("model", "optimizer")]
    return {name: tensor.asnumpy() for part in both for name, tensor in part.items()}


def assert_same_weights(a: Path, b: Path, step: int = 6) -> None:
    """Compare all tensors of two checkpoints; sums in another order may differ in rounding."""
    first, second = weights(a, step), weights(b, step)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-4, atol=1e-5, err_msg=name)


def metrics(run_dir: Path) -> list[dict[str, float]]:
    """Return the lines of ``metrics.jsonl``."""
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_ranks_equal_one_with_the_whole_batch(alone: Path, together: tuple[Path, str]) -> None:
    run_dir, _ = together
    shares = [(run_dir / f"seen.rank{rank}").read_text().splitlines() for rank in (0, 1)]
    joined = [f"{a} {b.split(' ', 1)[1]}" for a, b in zip(*shares, strict=True)]
    assert joined == (alone / "seen.rank0").read_text().splitlines()
    assert_same_weights(alone, run_dir)
    begin = weights(alone, 3)["head.weight"]
    assert np.abs(begin - weights(alone, 6)["head.weight"]).max() > 1e-4  # there was something to compare


@pytest.mark.slow
def test_an_evaluation_is_one_total(alone: Path, together: tuple[Path, str]) -> None:
    one, two = (next(line for line in metrics(run) if "psnr" in line) for run in (alone, together[0]))
    assert two["n_pictures"] == 3
    for name in ("psnr", "ssim", "bicubic_psnr"):
        assert two[name] == pytest.approx(one[name], abs=1e-4)


@pytest.mark.slow
def test_only_rank_0_writes_and_every_rank_logs(together: tuple[Path, str]) -> None:
    run_dir, console = together
    assert [line["step"] for line in metrics(run_dir) if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert console.count("step 6/6") == 1
    assert "step 6/6" in (run_dir / "run.rank1.log").read_text()
    (printed,) = (run_dir / "launch").iterdir()
    assert "step 6/6" in (printed / "worker_0.log").read_text()
    assert {file.name for file in printed.iterdir()} == {"worker_0.log", "worker_1.log", "scheduler.log"}
    command = (run_dir / "command.txt").read_text()
    assert command.split()[1:6] == ["srtrain", "launch", "-n", "2", "run"]


@pytest.mark.slow
def test_a_run_of_two_ranks_goes_on_with_one(
    recipe: list[str], alone: Path, together: tuple[Path, str], tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(together[0], run_dir)
    words = [*recipe, f"run_dir={run_dir}", f"--resume={run_dir / 'checkpoints' / 'step_00000003'}"]
    in_parts = "train.accumulate=2"  # as large as the ranks' were
    assert main(["run", *words, in_parts, ALL_CORES]) == 0
    assert "resumed from" in (run_dir / "run.log").read_text()
    assert_same_weights(alone, run_dir)


def test_a_batch_that_parts_cannot_share_is_refused(
    recipe: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *recipe, f"run_dir={tmp_path / 'run'}", "train.accumulate=3", ALL_CORES]) == 2
    message = capsys.readouterr().err
    assert "data.batch_size = 4 cannot be divided into train.accumulate = 3 equal parts on 1 rank" in message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("kill", 137, ("rank 1 was killed by SIGKILL",)),
        ("hang", 75, ("no progress for 3 s", "rank 1 did not arrive; the others waited for it")),
    ],
)
def test_a_rank_that_fails_ends_all_and_is_named(
    kind: str, code: int, says: tuple[str, ...], recipe: list[str], tmp_path: Path
) -> None:
    """How other ends are told is in tests/unit/launch/test_supervise.py, with processes that have no network."""
    run_dir = tmp_path / "run"
    faulty = ("hooks.fault=fault", f"hooks.fault.kind={kind}", *BRIEF)
    result = launch(*recipe, f"run_dir={run_dir}", *faulty)
    assert result.returncode == code, result.stdout
    for words in says:
        assert words in result.stdout
    if kind == "hang":
        (printed,) = (run_dir / "launch").iterdir()
        assert "in after_step" in (printed / "worker_1.log").read_text()  # the stack of the rank that hung
        assert "Current thread" in (printed / "worker_0.log").read_text()  # and of the one that waited
        assert "Current thread" not in result.stdout


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until a condition holds, as long as the process is alive."""
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, f"ended with {process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def rank_processes(launcher: int) -> dict[int, psutil.Process]:
    """Return the live ranks of a launcher."""
    found = {}
    for child in psutil.Process(launcher).children():
        environment = child.environ()
        if environment.get("MS_ROLE") == "MS_WORKER":
            found[int(environment["RANK_ID"])] = child
    return found


@pytest.mark.slow
def test_a_run_of_one_rank_goes_on_with_two_and_a_request_to_one_stops_all_at_one_step(
    recipe: list[str], alone: Path, tmp_path: Path
) -> None:
    """A Ctrl-C, which the launcher hands to every rank, is in tests/unit/launch/test_supervise.py.

    What ranks do when their launcher is killed is in tests/unit/launch/test_cluster.py.
    """
    run_dir = tmp_path / "run"
    shutil.copytree(alone, run_dir)
    resume = f"--resume={run_dir / 'checkpoints' / 'step_00000003'}"
    endless = ("train.steps=100000", "hooks.checkpoint.keep=9", *BRIEF)
    words = srtrain("launch", "-n", "2", *recipe, f"run_dir={run_dir}", resume, *endless)
    process = subprocess.Popen(words, text=True)
    log = run_dir / "run.rank1.log"
    wait_for(lambda: log.exists() and "step 7/" in log.read_text(), process)
    ranks = rank_processes(process.pid)
    assert sorted(ranks) == [0, 1]
    os.kill(ranks[1].pid, signal.SIGTERM)
    assert process.wait(timeout=240) == 128 + signal.SIGTERM
    assert not psutil.wait_procs(ranks.values(), timeout=240)[1]
    logs = [(run_dir / log).read_text() for log in ("run.log", "run.rank1.log")]
    assert "resumed from" in logs[0]
    assert_same_weights(alone, run_dir)
    steps = [re.findall(r"stopped by SIGTERM at step (\d+)", text) for text in logs]
    assert steps[0] == steps[1]
    (step,) = map(int, steps[0])
    assert (run_dir / "checkpoints" / "latest").read_text().strip() == f"step_{step:08}"


@pytest.mark.slow
def test_two_machines_train_together_and_one_learns_of_the_others_end(
    recipe: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two launchers on one machine, each acting as one of two machines over the loopback device."""
    monkeypatch.setenv("MS_NODE_TIMEOUT", "8")  # MindSpore's 30 s until it takes a machine for gone
    run_dir, master = tmp_path / "run", f"127.0.0.1:{free_port()}"
    faulty = (f"run_dir={run_dir}", *BRIEF, "hooks.fault=fault", "hooks.fault.kind=kill")
    machines = [
        subprocess.Popen(
            srtrain(
                "launch", "-n", "1", "--nodes", "2", "--node-rank", k, "--master", master, *recipe, *faulty
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for k in "01"
    ]
    shown = [machine.communicate(timeout=400)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [1, 137], shown
    assert "step 2/6" in shown[0]
    assert "error: rank 1 no longer answers. See the output on its machine" in shown[0]
    assert "error: rank 1 was killed by SIGKILL" in shown[1]
