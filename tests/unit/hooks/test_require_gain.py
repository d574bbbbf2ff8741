"""A finished run with too small a gain fails; a stopped run is not judged."""

import re

import pytest

from srtrain.errors import SrtrainError
from srtrain.hooks import Hook
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.evaluate import EvaluateHook
from srtrain.hooks.require_gain import RequireGainHook


@pytest.fixture
def train(make_trainer, benchmark_set, evaluator):
    def train(db, *hooks):
        trainer = make_trainer([RequireGainHook(db=db), *hooks], 1)
        trainer.hooks.insert(0, EvaluateHook([benchmark_set], evaluator(trainer), 1))
        trainer.train()
        return trainer

    return train


def test_too_small_a_gain_is_an_error_with_its_protocol(train):
    with pytest.raises(SrtrainError) as caught:
        train(0.5)
    assert caught.value.exit_code == 1
    text = str(caught.value)
    assert re.match(r"PSNR on crops is \d+\.\d\d dB below bicubic", text)
    assert " bicubic, but must be at least 0.50 dB above it (paper_y (" in text


def test_a_gain_that_suffices_passes(train):
    assert train(-100.0).step == 1


def test_nothing_evaluated_is_an_error(make_trainer):
    with pytest.raises(
        SrtrainError, match=r"^nothing was evaluated, so there is no gain over bicubic\. Add benchmarks"
    ):
        make_trainer([RequireGainHook()], 1).train()


def test_a_stopped_run_is_not_judged(train):
    class Stop(Hook):
        def after_step(self, trainer, out):
            trainer.request_stop("enough")

    assert train(0.5, Stop()).stop_reason == "enough"


def test_a_finished_run_that_is_resumed_is_judged_again(make_trainer, benchmark_set, evaluator, tmp_path):
    for resumed in (False, True):
        trainer = make_trainer([RequireGainHook(db=0.5), CheckpointHook()], 2, run_dir=tmp_path)
        trainer.hooks.insert(0, EvaluateHook([benchmark_set], evaluator(trainer), 1))
        trainer.hooks.sort(key=lambda hook: hook.order)
        with pytest.raises(SrtrainError, match=r"PSNR on crops is .* below bicubic"):
            trainer.train(resume=trainer.store.latest() if resumed else None)
