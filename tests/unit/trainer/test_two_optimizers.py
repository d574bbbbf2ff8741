"""Another task is another update: a generator and a discriminator train in the same trainer as super-resolution."""

import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from srtrain.device.backend import Backend
from srtrain.errors import RecipeError
from srtrain.hooks import Hook
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.ema import EmaHook
from srtrain.hooks.grad_norm import GradNormHook
from srtrain.hooks.lr import LrHook
from srtrain.hooks.nan_guard import NanGuardHook
from srtrain.hooks.writers.metrics import MetricsHook
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.schedules.cosine import cosine
from srtrain.trainer.update import Update

pytestmark = pytest.mark.slow


class Discriminator(nn.Cell):
    """One number for a picture: high if it looks like a ground truth."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, weight_init=ms.Tensor(weights((4, 3, 3, 3))))
        self.last = nn.Dense(4, 1, ms.Tensor(weights((1, 4))), "zeros")

    def construct(self, x):
        return self.last(ops.leaky_relu(self.conv(x / 255), 0.2).mean(axis=(2, 3)))


def weights(shape):
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32) / 3


class AdversarialUpdate(Update):
    """The generator learns to please the discriminator, which learns to tell its output from ground truth."""

    def __init__(self, generator, discriminator, optimizers):
        super().__init__(optimizers)
        self.generator = generator
        self.discriminator = discriminator
        self.l1 = L1()
        self.of_generator, self.of_discriminator = self.optimizers
        self.generator_grad = ms.value_and_grad(self.generator_loss, None, self.of_generator.parameters)
        self.discriminator_grad = ms.value_and_grad(
            self.discriminator_loss, None, self.of_discriminator.parameters
        )

    def generator_loss(self, lq, gt):
        sr = self.generator(lq)
        return self.l1(sr, gt) + ops.softplus(-self.discriminator(sr)).mean()

    def discriminator_loss(self, sr, gt):
        fake, real = self.discriminator(sr), self.discriminator(gt)
        return ops.softplus(fake).mean() + ops.softplus(-real).mean()

    def construct(self, lq, gt):
        lq, gt = ops.cast(lq, ms.float32), ops.cast(gt, ms.float32)
        _, gradients = self.discriminator_grad(ops.stop_gradient(self.generator(lq)), gt)
        loss, more = self.generator_grad(lq, gt)
        loss = ops.depend(loss, self.of_discriminator(gradients))
        loss = ops.depend(loss, self.of_generator(more))
        if self.watches_norm:
            loss = ops.depend(loss, self.note_norm(more + gradients))
        return ops.depend(loss, self.guard.accept(loss))

    def state(self):
        return {**super().state(), **self.discriminator.parameters_dict()}


@pytest.fixture
def adversarial(make_trainer, new_model):
    """Make the trainer of ``make_trainer`` with the update of two optimizers in it."""

    def make(hooks, max_steps, rates=(0.01, 0.04), **options):
        generator, discriminator = new_model(), Discriminator()
        discriminator.update_parameters_name("discriminator.")
        update = AdversarialUpdate(
            generator,
            discriminator,
            [
                build_optimizer("adam", list(generator.trainable_params()), rates[0]),
                build_optimizer("adam", list(discriminator.trainable_params()), rates[1]),
            ],
        )
        return make_trainer(hooks, max_steps, model=generator, update=update, **options)

    return make


def bits(trainer):
    held = {**trainer.model.parameters_dict(), **trainer.update.state()}
    return {name: parameter.asnumpy().tobytes() for name, parameter in held.items()}


def hooks(*more):
    lr = LrHook(cosine(max_steps=6, warmup=2), 0.01)
    return [
        lr,
        EmaHook(0.9),
        NanGuardHook(every=1),
        GradNormHook(),
        CheckpointHook(every=2),
        MetricsHook(),
        *more,
    ]


class StopAt(Hook):
    def __init__(self, step):
        self.step = step

    def after_step(self, trainer, out):
        if trainer.step == self.step:
            trainer.request_stop("enough")


@pytest.mark.usefixtures("graph")
def test_a_run_in_two_parts_equals_the_run_in_one_bit_for_bit(adversarial, tmp_path):
    whole = adversarial(hooks(), 6, run_dir=tmp_path / "whole")
    start = bits(whole)
    whole.train()
    first = adversarial(hooks(StopAt(3)), 6)
    first.train()
    second = adversarial(hooks(), 6)
    second.train(resume=first.store.latest())
    assert (second.step, second.counts.n_accepted) == (6, 6)
    assert bits(second) == bits(whole)
    for name in ("tail.weight", "discriminator.conv.weight", "moment1.tail.weight"):
        assert bits(whole)[name] != start[name]
    assert any(name.startswith("optimizer2.moment1.") for name in start)
    lines = [
        [json.loads(line) for line in (trainer.run_dir / "metrics.jsonl").read_text().splitlines()]
        for trainer in (whole, second)
    ]
    assert lines[0] == lines[1]
    assert [line["step"] for line in lines[0]] == [1, 2, 3, 4, 5, 6]
    assert all(line["grad_norm"] > 0 for line in lines[0])


def test_the_model_of_a_checkpoint_is_the_generator_alone(adversarial):
    trainer = adversarial([CheckpointHook()], 1)
    trainer.train()
    saved = trainer.store.load(trainer.store.path(1))
    assert saved.tensors["model"].keys() == trainer.model.parameters_dict().keys()
    assert "discriminator.last.weight" in saved.tensors["optimizer"]


def test_the_rate_is_the_first_optimizers_and_the_others_keep_their_ratio(adversarial):
    trainer = adversarial([], 1, rates=(0.5, 2.0))
    generator, discriminator = trainer.optimizers
    assert trainer.lr == 0.5
    for lr in (0.25, 0.0, 0.125):
        trainer.set_lr(lr)
        assert trainer.lr == float(generator.learning_rate.asnumpy()) == lr
        assert float(discriminator.learning_rate.asnumpy()) == 4 * lr


def test_rates_without_a_ratio_are_refused(adversarial):
    with pytest.raises(RecipeError, match="the first of several optimizers has the learning rate 0"):
        adversarial([], 1, rates=(0.0, 1.0))


def test_rolling_back_takes_both_networks_and_both_optimizers_back(adversarial):
    trainer = adversarial([CheckpointHook(every=2, keep=9)], 3)
    trainer.train()
    saved = trainer.store.load(trainer.store.path(2)).tensors
    trainer.set_lr(0.125)
    trainer.roll_back(trainer.store.path(2))
    assert (trainer.step, trainer.lr) == (3, 0.125)
    assert float(trainer.optimizers[1].learning_rate.asnumpy()) == pytest.approx(0.5)
    names = [n for n in saved["optimizer"] if "guard." not in n and "learning_rate" not in n]
    held = {**trainer.model.parameters_dict(), **trainer.update.state()}
    for name in [*saved["model"], *names]:
        expected = saved["model"].get(name, saved["optimizer"].get(name))
        np.testing.assert_array_equal(held[name].asnumpy(), expected.asnumpy(), err_msg=name)


def test_its_updates_sink_as_well(adversarial, tmp_path):
    class HostQueue(Backend):
        def why_no_sink(self):
            return ""

        def sink(self, update, batches, n_steps):
            waiting = batches.create_tuple_iterator(num_epochs=1, do_copy=True)
            return lambda: [update(*next(waiting)) for _ in range(n_steps)][-1]

    sunk, single = adversarial([], 4), adversarial([], 4, run_dir=tmp_path / "single")
    sunk.backend = HostQueue()
    sunk.sink(2)
    for trainer in (sunk, single):
        trainer.train()
    assert bits(sunk) == bits(single)
