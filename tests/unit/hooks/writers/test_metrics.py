"""metrics.jsonl has each number once, also after kills and resumes."""

import json

import pytest

from srtrain.hooks.evaluate import EvaluateHook
from srtrain.hooks.writers.metrics import MetricsHook


def records(trainer):
    return [json.loads(line) for line in (trainer.run_dir / "metrics.jsonl").read_text().splitlines()]


def test_one_line_for_each_logging_step_and_each_evaluation(make_trainer, benchmark_set, evaluator):
    trainer = make_trainer([MetricsHook()], 5, log_every=2)
    trainer.hooks.insert(0, EvaluateHook([benchmark_set], evaluator(trainer), 4, best=False))
    trainer.train()
    lines = records(trainer)
    assert [line["step"] for line in lines if "loss" in line] == [2, 4, 5]
    scores = [line for line in lines if "psnr" in line]
    assert [line["step"] for line in scores] == [4, 5]
    assert scores[0].keys() == {
        "step", "benchmark", "method", "protocol", "n_pictures", "psnr", "ssim", "bicubic_psnr", "seconds",
    }  # fmt: skip
    assert scores[0]["protocol"].startswith("paper_y")
    assert scores[0]["n_pictures"] == 2


@pytest.fixture
def resumed_at(make_trainer):
    """Open the file as a resumed run does, and write one more line."""

    def resume(step, text):
        trainer = make_trainer()
        (trainer.run_dir / "metrics.jsonl").write_text(text)
        trainer.step = step
        hook = MetricsHook()
        hook.before_train(trainer)
        hook._write({"step": step + 1})
        return [record["step"] for record in records(trainer)]

    return resume


FILE = "".join(json.dumps({"step": step, "loss": 1.5}) + "\n" for step in (1, 2, 3, 4))


def test_a_resumed_run_drops_the_lines_beyond_its_checkpoint(resumed_at):
    assert resumed_at(2, FILE) == [1, 2, 3]
    assert resumed_at(0, FILE) == [1]
    assert resumed_at(9, FILE) == [1, 2, 3, 4, 10]


def test_a_last_line_that_a_kill_cut_short_is_dropped_wherever_it_was_cut(resumed_at):
    start = FILE.index('{"step": 4')
    for length in range(1, len(FILE) - start - 1):
        assert resumed_at(9, FILE[: start + length]) == [1, 2, 3, 10]


def test_without_a_file_there_is_nothing_to_drop(make_trainer):
    trainer = make_trainer()
    MetricsHook().before_train(trainer)
    assert not (trainer.run_dir / "metrics.jsonl").exists()


def test_another_rank_writes_nothing(make_trainer):
    trainer = make_trainer([MetricsHook()], 2)
    trainer.backend.rank = 1
    trainer.train()
    assert not (trainer.run_dir / "metrics.jsonl").exists()


def test_a_last_line_without_its_end_is_not_glued_to_the_next(make_trainer):
    trainer = make_trainer()
    (trainer.run_dir / "metrics.jsonl").write_text('{"step": 1}')
    trainer.step = 1
    hook = MetricsHook()
    hook.before_train(trainer)
    hook._write({"step": 2})
    assert [json.loads(x)["step"] for x in (trainer.run_dir / "metrics.jsonl").read_text().splitlines()] == [
        1,
        2,
    ]
