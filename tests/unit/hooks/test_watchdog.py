"""No progress ends the process with the stacks of its threads; progress does not."""

import subprocess
import sys

import pytest
from srtrain_plugins.ascend.backend import AscendBackend

from srtrain.device.backend import Backend
from srtrain.errors import RecipeError
from srtrain.hooks import Hook
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.watchdog import WatchdogHook

WATCH = """
import ctypes, sys, time
from pathlib import Path
from srtrain.hooks.watchdog import Watch
from srtrain.device.progress import Progress

progress = Progress()
progress.watch(float(sys.argv[1]))
watch = Watch(progress, float(sys.argv[1]), Path(sys.argv[2]), print)

def silent():
    time.sleep(60)

def holding_the_lock():
    ctypes.PyDLL(None).sleep(60)

def alive():
    for _ in range(12):
        time.sleep(0.25)
        progress.beat()
    watch.close()

globals()[sys.argv[3]]()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("what", "code"), [("silent", 75), ("holding_the_lock", 1), ("alive", 0)])
def test_silence_ends_the_process_with_its_stacks(what, code, tmp_path):
    file = tmp_path / "stacks.log"
    result = subprocess.run(
        [sys.executable, "-c", WATCH, "1.5", str(file), what],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == code, result.stderr
    if what == "alive":
        assert not file.exists()  # nothing to keep
    else:
        assert f"in {what}" in file.read_text()
    if what == "silent":
        assert (
            "no progress for 1.5 s (hooks.watchdog.seconds), starting; the stacks of all threads are in "
            in result.stdout
        )


def test_every_point_of_a_run_counts_once_other_hooks_are_done(make_trainer):
    class Look(Hook):
        order = WatchdogHook.order  # and behind it in the list

        def __init__(self):
            self.seen = []

        def after_step(self, trainer, out):
            self.seen.append(trainer.backend.progress.position())

    look = Look()
    trainer = make_trainer([CheckpointHook(every=2), WatchdogHook(seconds=60), look], 2)
    trainer.train()
    points = [(p.passed, p.point, p.step, p.limit_seconds) for p in look.seen]
    # setup, before_train, then two for each step, and the checkpoint after the second
    assert points == [(4, "after_step", 1, 60), (7, "after_step", 2, 60)]
    last = trainer.backend.progress.position()
    assert (last.point, last.limit_seconds) == ("after_train", 0)  # nobody watches any more
    assert not list(trainer.run_dir.glob("*.stacks.log"))


@pytest.mark.parametrize("seconds", [0, -1.0])
def test_a_limit_that_is_none_is_refused(seconds):
    with pytest.raises(
        RecipeError, match=rf"hooks\.watchdog\.seconds = {seconds} must be above 0; hooks\.watchdog=None"
    ):
        WatchdogHook(seconds)


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (1500, "after 1500 s (hooks.watchdog.seconds), the collectives after 1800 s (HCCL_EXEC_TIMEOUT)"),
        (1800, "before that, after 1800 s (HCCL_EXEC_TIMEOUT), and do not name the rank that is missing"),
    ],
)
def test_the_limit_that_comes_first_is_printed(seconds, says, make_trainer):
    class TwoCards(Backend):
        def collective_timeout(self):
            return "HCCL_EXEC_TIMEOUT", 1800.0

    trainer = make_trainer([])
    trainer.backend = TwoCards()
    trainer.backend.world_size = 2
    hook = WatchdogHook(seconds)
    hook.setup(trainer)
    hook.close(trainer)
    assert says in (trainer.run_dir / "run.log").read_text()


def test_by_default_the_watchdog_is_quicker_than_hccl(monkeypatch):
    monkeypatch.delenv("HCCL_EXEC_TIMEOUT", raising=False)
    assert WatchdogHook().seconds < AscendBackend().collective_timeout()[1]
