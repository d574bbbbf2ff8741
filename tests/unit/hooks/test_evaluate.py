"""When benchmarks are scored, which checkpoint is best, and the self-ensemble."""

import json

import pytest

from srtrain.data.store import Pictures
from srtrain.evaluation.evaluator import EvalSet, Evaluator
from srtrain.hooks import HOOKS, Hook
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.evaluate import EvaluateHook
from srtrain.hooks.writers.console import ConsoleHook
from srtrain.hooks.writers.metrics import MetricsHook
from srtrain.models.ensemble import SelfEnsemble
from srtrain.trainer.hook import plan


class Results(Hook):
    def __init__(self):
        self.all = []

    def after_eval(self, trainer, result):
        self.all.append((trainer.step, result))

    @property
    def steps(self):
        return [step for step, _ in self.all]


@pytest.fixture
def two(benchmark_set):
    """Two benchmarks: the first decides which checkpoint is best."""
    return [benchmark_set, EvalSet("again", benchmark_set.pictures, 2, benchmark_set.protocol)]


class Falling:
    """An upscaling function that gets worse with each benchmark, so its scores fall."""

    def __init__(self):
        self.n_calls = 0

    def __call__(self, lq):
        self.n_calls += 1
        return lq.repeat(2, axis=2).repeat(2, axis=3) + 5 * self.n_calls


@pytest.mark.parametrize(("every", "steps", "at"), [(2, 5, [2, 4, 5]), (2, 4, [2, 4]), (9, 1, [1])])
def test_every_so_often_and_with_the_last_step(make_trainer, benchmark_set, every, steps, at):
    results = Results()
    trainer = make_trainer([results], steps)
    trainer.hooks.insert(0, EvaluateHook([benchmark_set], Evaluator(Falling(), trainer.backend), every))
    trainer.train()
    assert results.steps == at


def test_best_is_the_saved_step_with_the_highest_first_score(make_trainer, two):
    results = Results()
    trainer = make_trainer([results, CheckpointHook(every=1, keep=1)], 3)
    trainer.hooks.insert(1, EvaluateHook(two, Evaluator(Falling(), trainer.backend), 1))
    trainer.train()
    assert [result.benchmark for _, result in results.all] == ["crops", "again"] * 3
    scores = [result.psnr for _, result in results.all[::2]]
    assert scores == sorted(scores, reverse=True)
    assert trainer.store.best() == trainer.store.path(1)
    assert trainer.store.steps() == [1, 3]
    score = trainer.store.best_score()
    assert score["metric"] == "psnr/crops"
    assert score["value"] == pytest.approx(scores[0])
    assert score["step"] == 1
    assert score["protocol"] == results.all[0][1].protocol


@pytest.mark.slow
def test_a_better_score_moves_the_pointer_and_saves_the_step(make_trainer, benchmark_set, evaluator):
    results = Results()
    trainer = make_trainer([results], 12, lr=0.01)
    trainer.hooks.insert(0, EvaluateHook([benchmark_set], evaluator(trainer), 4))
    trainer.train()
    best = max(results.all, key=lambda item: item[1].psnr)
    assert best[0] > 4
    assert trainer.store.best() == trainer.store.path(best[0])
    assert trainer.store.load(trainer.store.best()).step == best[0]


def test_the_score_is_that_of_the_network_at_that_step(make_trainer, benchmark_set, evaluator):
    results = Results()
    trainer = make_trainer([results], 2, lr=0.01)
    trainer.hooks.insert(0, EvaluateHook([benchmark_set], evaluator(trainer), 1))
    trainer.train()
    now = evaluator(trainer).run(benchmark_set)
    assert results.all[-1][1].psnr == pytest.approx(now.psnr, abs=1e-6)
    assert results.all[0][1].psnr != results.all[1][1].psnr


@pytest.mark.slow
def test_the_self_ensemble_scores_eight_orientations_and_marks_no_best(
    make_trainer, benchmark_set, evaluator
):
    results = Results()
    trainer = make_trainer([results], 1)
    evaluating = evaluator(trainer)
    trainer.hooks.insert(
        0, HOOKS.build("self_ensemble_evaluate", benchmarks=[benchmark_set], evaluator=evaluating, every=1)
    )
    trainer.train()
    ((_, result),) = results.all
    assert result.method == "self-ensemble x8"
    assert result.tag == "crops_x8"
    expected = evaluating.run(benchmark_set, upscale=SelfEnsemble(evaluating.upscale))
    assert result.psnr == pytest.approx(expected.psnr, abs=1e-6)
    assert abs(result.psnr - evaluating.run(benchmark_set).psnr) > 1e-3
    assert trainer.store.best() is None


def test_without_benchmarks_nothing_is_evaluated(make_trainer, evaluator):
    trainer = make_trainer([], 1)
    trainer.hooks.insert(0, EvaluateHook([], evaluator(trainer), 1))
    trainer.train()
    assert trainer.store.best() is None


def test_a_run_resumed_at_its_end_is_evaluated_and_written_down(make_trainer, benchmark_set, evaluator):
    make_trainer([CheckpointHook()], 2).train()
    trainer = make_trainer([], 2)
    evaluate = EvaluateHook([benchmark_set], evaluator(trainer), 1)
    trainer.hooks[:] = plan([evaluate, MetricsHook(), ConsoleHook()])
    trainer.train(resume=trainer.store.latest())
    lines = [json.loads(line) for line in (trainer.run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], "psnr" in line) for line in lines] == [(2, True), (2, False)]
    assert "PSNR on crops: ours" in (trainer.run_dir / "run.log").read_text()


class Improving:
    """Repeats pixels. The first evaluation is wrong by 1, so that only the second one reproduces a flat picture."""

    def __init__(self, n_pictures):
        self.left = n_pictures

    def __call__(self, lq):
        self.left -= 1
        return lq.repeat(2, axis=2).repeat(2, axis=3) + (self.left >= 0)


def test_a_picture_that_becomes_exact_does_not_make_a_checkpoint_worse(make_trainer, odd_set):
    """It leaves the mean PSNR, which falls, but the second checkpoint is better."""
    results = Results()
    trainer = make_trainer([results, MetricsHook()], 2)
    trainer.hooks.insert(0, EvaluateHook([odd_set], Evaluator(Improving(4), trainer.backend), 1))
    trainer.train()
    first, second = (result for _, result in results.all)
    assert second.psnr < first.psnr
    assert trainer.store.best() == trainer.store.path(2)
    text = (trainer.store.folder / "best.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["value"] == pytest.approx(second.psnr)
    lines = (trainer.run_dir / "metrics.jsonl").read_text().splitlines()
    evaluations = [line for line in map(json.loads, lines) if "psnr" in line]
    assert ["flat" in line["left_out"].partition("PSNR")[2] for line in evaluations] == [True, True]


def test_a_set_of_flat_pictures_leaves_valid_json(make_trainer, odd_set):
    flat = EvalSet("flat", Pictures([odd_set.pictures.pairs[1]], 2), 2, odd_set.protocol)
    trainer = make_trainer([MetricsHook()], 1)
    nearest = Improving(0)
    trainer.hooks.insert(0, EvaluateHook([flat], Evaluator(nearest, trainer.backend), 1))
    trainer.train()
    for file in (trainer.store.folder / "best.json", trainer.store.best() / "state.json"):
        json.loads(file.read_text(), parse_constant=pytest.fail)
    for line in (trainer.run_dir / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
