"""A recipe that cannot be run is refused, with all its mistakes."""

import dataclasses

import pytest

from srtrain.recipe import Benchmark, Data, Epochs, Optim, Spec, Train
from srtrain.recipe.check import check_recipe


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"train": Train()},
            "train.steps=None and train.epochs=None: exactly one of them must be set.",
        ),
        (
            {"train": Train(steps=1, epochs=2)},
            "train.steps=1 and train.epochs=2: exactly one of them must be set.",
        ),
        ({"train": Train(steps=0)}, "train.steps = 0 must be above 0."),
        ({"train": Train(epochs=-1)}, "train.epochs = -1 must be above 0."),
        ({"train": Train(steps=1, steps_per_epoch=0)}, "train.steps_per_epoch = 0 must be above 0."),
        ({"train": Train(steps=1, log_every=Epochs(0))}, "train.log_every = 0 must be above 0."),
        ({"train": Train(steps=1, threads=-1)}, "train.threads = -1 must be 0 (all cores) or more."),
        ({"train": Train(steps=1, mode="eager")}, "train.mode = 'eager' must be 'graph' or 'pynative'."),
        ({"data": Data(batch_size=0)}, "data.batch_size = 0 must be above 0."),
        ({"data": Data(cache="disk")}, "data.cache = 'disk' must be 'memory', 'mmap' or 'none'."),
        ({"optim": Optim(clip_norm=0.0)}, "optim.clip_norm = 0.0 must be above 0."),
        ({"name": "a/b"}, "name = 'a/b' must be a word without '/': it names the run folder."),
        ({"name": ""}, "name = '' must be a word without '/': it names the run folder."),
        ({"scale": 0}, "scale = 0 must be above 0."),
        (
            {"scale": 3, "data": Data(gt_patch_px=100)},
            "data.gt_patch_px = 100 is not a multiple of scale = 3, so the input patch would not have whole pixels. "
            "Nearest: 99.",
        ),
        ({"scale": 2.0}, "scale = 2.0 is a float, but must be int."),
        ({"hooks": {"lr": "lr"}}, "hooks = {'lr': 'lr'} is a dict, but must be dict[str, Spec | None]."),
        ({"plugins": "x"}, "plugins = 'x' is a str, but must be tuple[str, ...]."),
        ({"data": Data(workers=True)}, "data.workers = True is a bool, but must be int."),
        (
            {"benchmarks": {"b": Benchmark(Spec("x"), protocol=3)}},
            "benchmarks.b.protocol = 3 is an int, but must be str.",
        ),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(small, refusal, changes, says):
    assert refusal(check_recipe, dataclasses.replace(small, **changes)).startswith(says)


def test_a_good_recipe_passes(full, small):
    check_recipe(small)
    check_recipe(full)


def test_all_mistakes_of_a_recipe_are_reported_together(small, refusal):
    bad = dataclasses.replace(small, seed="x", scale="y", data=Data(augment="z"))
    assert len(refusal(check_recipe, bad).splitlines()) == 3
    bad = dataclasses.replace(small, scale=3, data=Data(gt_patch_px=100, cache="no"), train=Train(mode="no"))
    assert len(refusal(check_recipe, bad).splitlines()) == 4
