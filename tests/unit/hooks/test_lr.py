"""The learning rate of each update comes from the schedule and is set in the optimizer."""

import pytest

from srtrain.hooks import LAST, LOG, Hook
from srtrain.hooks.lr import LrHook
from srtrain.trainer.schedules.cosine import cosine
from srtrain.trainer.schedules.milestones import milestones


class Rates(Hook):
    order = LOG

    def __init__(self):
        self.used, self.logged = [], []

    def before_step(self, trainer, batch):
        self.used.append(trainer.lr)

    def after_step(self, trainer, out):
        self.logged.append(trainer.log.scalars["lr"])


def test_each_update_has_the_rate_of_its_step_and_the_log_says_so(make_trainer):
    rates = Rates()
    make_trainer([LrHook(milestones(at=(2, 4), gamma=0.1), 0.5), rates], 6, lr=9.0).train()
    expected = [0.5, 0.5, 0.05, 0.05, 0.005, 0.005]
    assert rates.used == pytest.approx(expected)
    assert rates.logged == pytest.approx(expected)


@pytest.mark.parametrize(("steps", "told"), [(5, True), (6, False), (50, False), (1, False)])
def test_a_run_shorter_than_its_warm_up_says_so(make_trainer, steps, told):
    trainer = make_trainer([LrHook(cosine(max_steps=steps, warmup=5), 0.5)], steps)
    said = []
    trainer.log.info = said.append
    trainer.train()
    assert [line for line in said if "shorten optim.schedule.warmup" in line] == said[:told]


@pytest.mark.slow
def test_resuming_multiplies_nothing_again(make_trainer):
    class Save(Hook):
        order = LAST

        def after_step(self, trainer, out):
            if trainer.step == 3:
                trainer.save()
                trainer.request_stop("enough")

    def hook():
        return LrHook(milestones(at=(2, 4), gamma=0.1), 0.5)

    first = make_trainer([hook(), Save()], 6)
    first.train()
    rates = Rates()
    make_trainer([hook(), rates], 6).train(resume=first.store.path(3))
    assert rates.used == pytest.approx([0.05, 0.005, 0.005])
