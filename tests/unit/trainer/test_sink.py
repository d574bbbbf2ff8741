"""Batches as a data set, and a trainer that sinks it: the same batches and weights, fewer calls."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.data.loader import Loader
from srtrain.data.sampler import Sampler
from srtrain.device.backend import Backend
from srtrain.errors import DeviceError, RecipeError
from srtrain.hooks import Hook
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.ema import EmaHook
from srtrain.hooks.lr import LrHook
from srtrain.trainer.sink import batches_to_sink


class HostQueue(Backend):
    """A CPU backend that imitates a card's queue with the data set itself."""

    def why_no_sink(self):
        return ""

    def sink(self, update, batches, n_steps):
        waiting = batches.create_tuple_iterator(num_epochs=1, do_copy=True)

        def run():
            for _ in range(n_steps):
                loss = update(*next(waiting))
            return loss

        return run


@pytest.mark.parametrize("workers", [0, 3])
def test_the_data_set_holds_the_loaders_batches_in_their_order(pictures, workers):
    def loader():
        return Loader(pictures, Sampler(len(pictures), 2, seed=3), gt_patch_px=16, workers=workers)

    found = list(batches_to_sink(loader(), 5, 7).create_tuple_iterator(num_epochs=1, output_numpy=True))
    assert len(found) == 7
    with loader() as expected:
        expected.start(5)
        for lq, gt in found:
            batch = expected.next()
            assert lq.dtype == gt.dtype == np.uint8
            np.testing.assert_array_equal(lq, batch.lq)
            np.testing.assert_array_equal(gt, batch.gt)


class Calls(Hook):
    def __init__(self):
        self.calls = []
        self.batches = []

    def before_step(self, trainer, batch):
        self.calls.append(f"before@{trainer.step}")
        self.batches.append(batch.lq.copy())

    def after_step(self, trainer, out):
        self.calls.append(f"after@{trainer.step}+{out.n_steps}")


def halving(step):
    return 0.5 ** (step // 4)


@pytest.mark.slow
def test_hooks_run_at_multiples_and_the_weights_are_those_of_single_steps(make_trainer, weights_of):
    calls, plain_calls = Calls(), Calls()
    sunk = make_trainer([calls, CheckpointHook(every=3, keep=9), LrHook(halving, 0.01)], 12, log_every=6)
    sunk.backend = HostQueue()
    sunk.sink(4)
    sunk.train()
    plain = make_trainer([plain_calls, LrHook(halving, 0.01)], 12, run_dir=sunk.run_dir.parent / "plain")
    plain.train()
    assert calls.calls == ["before@0", "after@4+4", "before@4", "after@8+4", "before@8", "after@12+4"]
    assert sunk.store.steps() == [4, 8, 12]  # 3, 6, 9 and 12 were due
    for name, value in weights_of(sunk.model).items():
        assert np.array_equal(value, weights_of(plain.model)[name]), name
    for index, batch in enumerate(calls.batches):
        assert np.array_equal(batch, plain_calls.batches[4 * index])
    assert sunk.update.guard.read().n_accepted == 12


@pytest.mark.slow
def test_a_resumed_run_sinks_on_where_it_stood(make_trainer, weights_of):
    def trainer(steps, name, *hooks):
        made = make_trainer([*hooks, EmaHook(0.9), CheckpointHook(every=4)], steps, run_dir=tmp / name)
        made.backend = HostQueue()
        made.sink(2)
        return made

    tmp = make_trainer().run_dir.parent
    whole = trainer(8, "whole")
    whole.train()
    first = trainer(4, "parts")
    first.train()
    second = trainer(8, "parts")
    second.train(resume=first.store.latest())
    for name, value in weights_of(whole.model).items():
        assert np.array_equal(value, weights_of(second.model)[name])
    averages = [t.hooks[0].state_dict() for t in (whole, second)]
    assert all(np.array_equal(averages[0][n].asnumpy(), averages[1][n].asnumpy()) for n in averages[0])


def test_the_average_counts_a_sink_as_its_updates(make_trainer):
    seen = []

    class Weights(Hook):
        def after_step(self, trainer, out):
            seen.append(trainer.model.tail.bias.asnumpy().copy())

    ema = EmaHook(0.8)
    trainer = make_trainer([ema, Weights()], 6, lr=0.05)
    start = trainer.model.tail.bias.asnumpy().copy()
    trainer.backend = HostQueue()
    trainer.sink(3)
    trainer.train()
    expected = start
    for weights in seen:
        expected = 0.8**3 * expected + (1 - 0.8**3) * weights
    np.testing.assert_allclose(ema.state_dict()["tail.bias"].asnumpy(), expected, rtol=1e-5)


def test_a_cpu_has_no_queue(make_trainer):
    with pytest.raises(DeviceError) as caught:
        make_trainer().sink(4)
    reason = (
        "device = 'cpu' has no queue for batches; an Ascend card has one (--plugin ascend device=ascend). "
        "Leave it at 1."
    )
    assert str(caught.value) == f"sink_steps = 4: {reason}"
    with pytest.raises(DeviceError, match=r"^device = 'cpu' has no queue"):
        Backend().sink(ms.nn.Cell(), None, 4)


def test_updates_that_are_no_multiple_are_refused_from_the_start_and_on_resume(make_trainer):
    trainer = make_trainer([], 10)
    trainer.backend = HostQueue()
    with pytest.raises(RecipeError) as caught:
        trainer.sink(4)
    assert str(caught.value) == (
        "sink_steps = 4: the 10 updates from step 0 to 10 are no multiple of it. Use a divisor of 10."
    )
    first = make_trainer([CheckpointHook()], 3)
    first.train()
    second = make_trainer([], 8)
    second.backend = HostQueue()
    second.sink(4)
    with pytest.raises(RecipeError, match="the 5 updates from step 3 to 8 are no multiple of it"):
        second.train(resume=first.store.latest())
