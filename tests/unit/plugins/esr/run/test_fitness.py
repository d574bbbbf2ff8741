"""The fitness of a candidate, with a short real training."""

import math

import numpy as np
import pytest
from mindspore import nn
from srtrain_plugins.esr.run.crops import Crops
from srtrain_plugins.esr.run.fitness import Fitness, latency

from srtrain.models import BLOCKS
from srtrain.models.blocks import ShrinkBlock
from srtrain.models.esrn import ESRN
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.models.upscale import Upscaler
from srtrain.trainer.factory import TrainerFactory

NAMES = ("S_1_4_4", "C_1_4_8", "G_1_4_8")


@pytest.fixture
def factory(make_trainer):
    """Trainers of tiny networks, as srtrain/build makes them from a recipe."""

    def build(model_args, hooks):
        model = ESRN(2, **model_args, n_feats=4)
        initialise(model, kaiming_uniform(), seed=1)
        return make_trainer(list(hooks), max_steps=12, model=model, lr=2e-3)

    return TrainerFactory(build, 2, "digest")


@pytest.fixture
def new_fitness(factory, benchmark_set):
    def make(objectives=("psnr",), needs_drops=False):
        return Fitness(factory, Crops([benchmark_set], 16, 2, seed=0), objectives, needs_drops)

    return make


@pytest.mark.slow
def test_the_same_blocks_have_the_same_fitness(new_fitness):
    one, again = new_fitness()(NAMES), new_fitness()(NAMES)
    assert not one.failed
    assert one.objectives == again.objectives
    assert one.objectives["parameters"] == sum(p.size for p in ESRN(2, NAMES, n_feats=4).trainable_params())
    assert set(one.objectives) == {"psnr", "parameters", "multi_adds"}
    assert set(one.seconds) == {"build", "compile", "train", "evaluate", "ablate"}


@pytest.mark.slow
def test_it_is_the_trained_network_that_is_scored(new_fitness, factory):
    fitness = new_fitness()
    outcome = fitness(NAMES)
    trainer = factory.build({"blocks": NAMES}, [])
    before = fitness.psnr(trainer.model)
    trainer.train()
    after = fitness.crops.psnr(Upscaler(trainer.model)(fitness.crops.lq))
    assert outcome.objectives["psnr"] == pytest.approx(after, abs=1e-4)
    assert after > before + 0.5


@pytest.mark.slow
def test_drops_are_those_of_blocks_that_can_be_bypassed(new_fitness):
    fitness = new_fitness(needs_drops=True)
    outcome = fitness(NAMES)
    first, second, third = outcome.drops
    assert second is None  # 4 channels in, 8 out
    assert first is not None
    assert third is not None
    trainer = fitness.new_trainer.build({"blocks": NAMES}, [])
    trainer.train()
    trainer.model.blocks[2] = nn.Identity()
    assert third == pytest.approx(outcome.objectives["psnr"] - fitness.psnr(trainer.model), abs=1e-4)


class Poisoned(ShrinkBlock):
    """A layer that makes its network return NaN."""

    def construct(self, x):
        return super().construct(x) * np.float32(math.nan)


class Impossible(ShrinkBlock):
    """Asks for more memory than there is."""

    def construct(self, x):
        raise MemoryError("no room for it\n---- call stack ----")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (
            Poisoned,
            r"TrainingDivergedError: the last 1\d updates up to step 1\d were skipped, with a loss of nan",
        ),
        (Impossible, r"MemoryError: no room for it$"),
    ],
)
def test_what_fails_is_a_reason_and_no_score(new_fitness, monkeypatch, block, reason):
    monkeypatch.setitem(BLOCKS._entries, "X", block)
    outcome = new_fitness()(("S_1_4_4", "X_1_4_4"))
    assert outcome.failed
    assert outcome.objectives == {}
    import re

    assert re.match(reason, outcome.reason), outcome.reason


@pytest.mark.slow
def test_latency_is_measured_where_it_is_an_objective(new_fitness, graph):
    model = ESRN(2, ("S_1_4_4",), n_feats=4)
    assert 0 < latency(model) < 10
