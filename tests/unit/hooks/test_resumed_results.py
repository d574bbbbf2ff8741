"""A run that ends at any place between two writes and is resumed has the results of an uninterrupted run."""

import json

import mindspore as ms
import pytest

from srtrain.hooks import Hook
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.evaluate import EvaluateHook
from srtrain.hooks.writers.metrics import MetricsHook
from srtrain.hooks.writers.tensorboard import TensorBoardHook
from srtrain.trainer.hook import plan


class KillError(Exception):
    pass


class Killer(Hook):
    """Ends the run at a step, among the hooks of an order, or in the middle of an evaluation."""

    def __init__(self, step, order, point="after_step"):
        self.step = step
        self.order = order
        self.point = point

    def after_step(self, trainer, out):
        if self.point == "after_step" and trainer.step == self.step:
            raise KillError

    def before_eval(self, trainer, benchmark):
        if self.point == "before_eval" and trainer.step == self.step:
            raise KillError

    def after_eval(self, trainer, result):
        if self.point == "after_eval" and trainer.step == self.step:
            raise KillError


@pytest.fixture
def run(make_trainer, benchmark_set, evaluator, tmp_path, events):
    def run(name, every, *kills, last=None, steps=7):
        folder = tmp_path / name
        for kill in [*kills, None]:
            trainer = make_trainer([], steps, log_every=3, lr=0.01, run_dir=folder)
            evaluate = EvaluateHook([benchmark_set], evaluator(trainer), 2)
            hooks = [CheckpointHook(every, keep=9), evaluate, MetricsHook(), TensorBoardHook("seed = 1")]
            trainer.hooks = trainer.state.hooks = plan([*hooks, *filter(None, [kill, last])])
            resume = trainer.store.latest()
            if kill is None:
                trainer.train(resume=resume)
            else:
                with pytest.raises(KillError):
                    trainer.train(resume=resume)
        return results(folder, trainer.store, events)

    return run


def results(folder, store, events):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds", None)
    found = [(e.step, e.summary.SerializeToString()) for e in events(folder)]
    best = json.loads((folder / "checkpoints" / "best.json").read_text())
    return lines, found, best, store.best().name


@pytest.mark.slow
@pytest.mark.parametrize("every", [2, 3, 5])
def test_killed_anywhere_and_resumed_has_the_same_results(run, every):
    straight = run("straight", every)
    assert [line["step"] for line in straight[0]] == [2, 3, 4, 6, 6, 7, 7]
    places = [(35, "after_step"), (45, "after_step"), (55, "after_step"), (95, "after_step"),
              (45, "before_eval"), (45, "after_eval"), (95, "after_eval")]  # fmt: skip
    for order, point in places:
        steps = (2, 6, 7) if point != "after_step" else (3, 6, 7)
        kills = [Killer(step, order, point) for step in steps]
        assert run(f"{order}_{point}", every, *kills) == straight, (order, point)


class Counter(Hook):
    """Counts evaluations, and the steps that hooks saw."""

    order = 95
    state_key = "counter"

    def __init__(self):
        self.n_evaluated = self.n_steps = 0

    def before_eval(self, trainer, benchmark):
        self.n_evaluated += 1

    def after_step(self, trainer, out):
        self.n_steps += 1

    def state_dict(self):
        return {"n_steps": self.n_steps}

    def load_state_dict(self, state):
        self.n_steps = state["n_steps"]


class TensorCounter(Counter):
    """Keeps its count as a tensor, which the last checkpoint holds from before this hook saw the step."""

    def state_dict(self):
        return {"n_steps": ms.Tensor(self.n_steps)}

    def load_state_dict(self, state):
        self.n_steps = int(state["n_steps"].asnumpy())


@pytest.mark.parametrize(("kind", "repeats"), [(Counter, 0), (TensorCounter, 1)])
def test_a_finished_run_that_is_resumed_repeats_nothing(run, kind, repeats):
    straight = run("straight", 3, last=(first := kind()))
    for _ in range(2):
        assert run("straight", 3, last=(again := kind())) == straight
        assert again.n_evaluated == repeats
        assert again.n_steps == first.n_steps == 7
    assert run("straight", 3, last=(longer := kind()), steps=9)[0][: len(straight[0])] == straight[0]
    assert longer.n_steps == 9
