"""The speed is that of the loop alone, without compilation and evaluations."""

from types import SimpleNamespace

import mindspore as ms
import pytest

import srtrain
from srtrain.hooks import timing
from srtrain.hooks.timing import TimingHook
from srtrain.trainer import trainer as trainer_module
from srtrain.trainer.api import StepOutput


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when a test moves it."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(srtrain, "STARTED", now.seconds)
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now.seconds))
    return now


@pytest.fixture
def run(make_trainer, clock):
    """A trainer whose steps take as long as the test says, and its hook."""
    trainer = make_trainer([], 100, log_every=2)
    hook = TimingHook(data_warning=0.2)
    hook.before_train(trainer)

    def step(seconds, waiting=0.0):
        clock.seconds += seconds
        trainer.data_seconds += waiting
        trainer._step_before, trainer.step = trainer.step, trainer.step + 1
        hook.after_step(trainer, StepOutput(ms.Tensor(1.0), n_pictures=8))

    return SimpleNamespace(trainer=trainer, hook=hook, step=step)


def test_the_first_update_is_start_up_and_not_speed(run):
    run.step(30.0)
    assert run.trainer.log.scalars == {}
    log = (run.trainer.run_dir / "run.log").read_text()
    assert "first update done 30.0 s after start-up, including compilation" in log
    run.step(0.5)
    numbers = run.trainer.log.scalars
    assert numbers["pictures_per_second"] == pytest.approx(8 / 0.5)
    assert numbers["eta_seconds"] == pytest.approx(98 * 0.5)
    assert numbers["data_wait"] == 0
    assert numbers["peak_memory_gb"] > 0.01


def test_evaluations_are_left_out(run, clock, monkeypatch):
    for seconds in (30.0, 0.5, 0.5):
        run.step(seconds)

    def slow(benchmark):
        clock.seconds += 1000

    monkeypatch.setattr(trainer_module, "time", timing.time)
    run.trainer.evaluate(SimpleNamespace(name="set5"), slow)
    run.step(1.5)
    assert run.trainer.log.scalars["pictures_per_second"] == pytest.approx(2 * 8 / 2.0)
    run.step(1.0)
    run.step(1.0)
    assert run.trainer.log.scalars["pictures_per_second"] == pytest.approx(8.0)


def test_waiting_for_data_is_a_share_and_warns_once(run):
    for _ in range(6):
        run.step(1.0, waiting=0.4)
    assert run.trainer.log.scalars["data_wait"] == pytest.approx(0.4)
    log = (run.trainer.run_dir / "run.log").read_text()
    assert (
        log.count("warning: 40% of the time is spent waiting for pictures. Try data.cache=memory (or mmap)")
        == 1
    )


def test_a_little_waiting_is_no_warning(run):
    for _ in range(6):
        run.step(1.0, waiting=0.1)
    assert "waiting for pictures" not in (run.trainer.run_dir / "run.log").read_text()


def test_a_real_run_has_the_numbers(make_trainer):
    trainer = make_trainer([TimingHook()], 4, log_every=2)
    trainer.train()
    assert trainer.log.scalars.keys() == {
        "loss", "pictures_per_second", "data_wait", "eta_seconds", "peak_memory_gb",
    }  # fmt: skip
    assert 0 < trainer.log.scalars["data_wait"] < 1
    assert trainer.log.scalars["eta_seconds"] == 0
