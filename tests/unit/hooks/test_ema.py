"""The averages follow the formula; evaluation uses them and training does not."""

import numpy as np
import pytest

from srtrain.errors import RecipeError
from srtrain.hooks import LOG, Hook
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.ema import EmaHook
from srtrain.hooks.evaluate import EvaluateHook
from srtrain.trainer.hook import plan
from srtrain.weights.read import read_weights
from srtrain.weights.transfer import load_weights


class Weights(Hook):
    """Records the weights after each step, and those that an evaluation uses."""

    order = LOG

    def __init__(self):
        self.after = []
        self.seen = []

    @staticmethod
    def _copy(trainer):
        return {p.name: p.asnumpy().copy() for p in trainer.model.trainable_params()}

    def before_train(self, trainer):
        self.start = self._copy(trainer)

    def after_step(self, trainer, out):
        self.after.append(self._copy(trainer))

    def before_eval(self, trainer, benchmark):
        self.seen.append(self._copy(trainer))


def averages(start, steps, decay):
    average = {name: value.astype(np.float64) for name, value in start.items()}
    for weights in steps:
        average = {n: decay * a + (1 - decay) * weights[n] for n, a in average.items()}
    return average


def assert_close(got, expected):
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-6)


@pytest.fixture
def train(make_trainer, benchmark_set, evaluator):
    def train(*hooks, steps=4, evaluate=True, resume=None):
        trainer = make_trainer([], steps, lr=0.05)
        extra = [EvaluateHook([benchmark_set], evaluator(trainer), every=2, best=False)] if evaluate else []
        trainer.hooks[:] = plan([*hooks, *extra])
        trainer.train(resume=resume)
        return trainer

    return train


@pytest.mark.slow
def test_evaluation_sees_the_averages_and_training_does_not(train, graph):
    plain, averaged = Weights(), Weights()
    train(plain, evaluate=False)
    trainer = train(EmaHook(decay=0.8), averaged)
    for one, other in zip(plain.after, averaged.after, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    assert len(averaged.seen) == 2
    assert_close(averaged.seen[0], averages(averaged.start, averaged.after[:2], 0.8))
    assert_close(averaged.seen[1], averages(averaged.start, averaged.after, 0.8))
    assert np.abs(averaged.seen[1]["tail.weight"] - averaged.after[-1]["tail.weight"]).max() > 1e-3
    final = Weights._copy(trainer)
    for name, value in averaged.after[-1].items():
        np.testing.assert_array_equal(final[name], value)


def test_a_checkpoint_holds_both_and_init_from_takes_the_averages(train, new_model, weights_of):
    watch = Weights()
    trainer = train(EmaHook(decay=0.8), watch, CheckpointHook(), evaluate=False)
    saved = trainer.store.load(trainer.store.latest())
    expected = averages(watch.start, watch.after, 0.8)
    assert_close({n: t.asnumpy() for n, t in saved.tensors["ema"].items()}, expected)
    np.testing.assert_array_equal(saved.tensors["model"]["tail.bias"].asnumpy(), watch.after[-1]["tail.bias"])
    model = new_model(seed=9)
    load_weights(model, read_weights(trainer.run_dir), {"model": "edsr", "scale": 2})
    assert_close(weights_of(model), expected)


@pytest.mark.slow
def test_averages_go_on_after_a_resume(train):
    whole = EmaHook(decay=0.8)
    train(whole, evaluate=False)
    trainer = train(EmaHook(decay=0.8), CheckpointHook(), steps=2, evaluate=False)
    again = EmaHook(decay=0.8)
    train(again, CheckpointHook(), steps=4, evaluate=False, resume=trainer.store.latest())
    for name, value in whole.state_dict().items():
        assert again.state_dict()[name].asnumpy().tobytes() == value.asnumpy().tobytes()


@pytest.mark.parametrize("decay", [0, 1, -0.5, 1.5])
def test_a_decay_outside_0_to_1_is_refused(decay):
    with pytest.raises(RecipeError) as caught:
        EmaHook(decay=decay)
    assert str(caught.value) == f"hooks.ema.decay = {decay!r} must be between 0 and 1."


def test_training_goes_on_after_an_evaluation_of_averages_in_pynative(
    make_trainer, benchmark_set, evaluator, weights_of
):
    trainer = make_trainer([EmaHook()], 4, lr=0.05)
    seen = []

    class Watch(Hook):
        def after_step(self, trainer, out):
            seen.append(weights_of(trainer.model)["tail.weight"])

    trainer.hooks[:] = plan(
        [*trainer.hooks, EvaluateHook([benchmark_set], evaluator(trainer), 2, best=False), Watch()]
    )
    trainer.train()
    assert not np.array_equal(seen[1], seen[2])


def test_averages_added_to_a_resumed_run_start_from_its_weights(make_trainer):
    make_trainer([CheckpointHook()], 3, lr=0.05).train()
    hook = EmaHook()
    trainer = make_trainer([hook], 3)
    trainer.train(resume=trainer.store.latest())
    for name, value in hook.state_dict().items():
        assert np.array_equal(value.asnumpy(), trainer.model.parameters_dict()[name].asnumpy())
