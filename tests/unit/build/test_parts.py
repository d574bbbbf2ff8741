"""Parts of a recipe that are built alone."""

import dataclasses

import mindspore as ms
import numpy as np
import pytest

from srtrain.build.parts import (
    build_backend,
    build_benchmarks,
    build_pictures,
    build_spec,
    in_steps,
    training_digest,
)
from srtrain.data.picture import write_png
from srtrain.errors import DataError, RecipeError
from srtrain.recipe import Benchmark, Data, Epochs, Recipe, Spec, Train
from srtrain.trainer.schedules import SCHEDULES

RECIPE = Recipe(
    name="s",
    scale=2,
    model=Spec("edsr"),
    data=Data(train=Spec("embedded"), gt_patch_px=48),
    train=Train(steps=9),
    benchmarks={"one": Benchmark(Spec("embedded", names=("chelsea",))), "off": None},
)


@pytest.fixture
def cache_of(tmp_path, monkeypatch):
    """Return where MindSpore is told to keep the graphs of a recipe."""

    def folder(recipe):
        told = {}
        set_context = ms.set_context
        with monkeypatch.context() as patch:
            patch.setattr(ms, "set_context", lambda **words: told.update(words))
            train = dataclasses.replace(recipe.train, compile_cache=str(tmp_path))
            build_backend(dataclasses.replace(recipe, train=train))
        set_context(mode=ms.PYNATIVE_MODE)
        assert told["enable_compile_cache"]
        assert told["compile_cache_path"].startswith(str(tmp_path))
        return told["compile_cache_path"]

    return folder


def test_recipes_share_no_compiled_graph_unless_they_are_equal(cache_of):
    recipe = Recipe("a", 2, Spec("edsr", n_feats=4), train=Train(steps=4, mode="pynative"))
    changes = (
        {"loss": Spec("mse")},
        {"model": Spec("edsr", n_feats=4, res_scale=0.1)},
        {"hooks": {}},
        {"scale": 3},
    )
    folders = [cache_of(recipe), *(cache_of(dataclasses.replace(recipe, **change)) for change in changes)]
    assert len(set(folders)) == len(folders)
    assert cache_of(dataclasses.replace(recipe, name="b", run_dir="elsewhere")) == folders[0]


@pytest.mark.parametrize(
    ("value", "steps"),
    [(Epochs(2), 20), (Epochs(0.26), 3), (Epochs(0.001), 1), ((Epochs(1), 7), (10, 7)), ("text", "text")],
)
def test_epochs_become_steps(value, steps):
    assert in_steps(value, 10) == steps


def test_a_spec_takes_what_it_declares_from_the_run():
    schedule = build_spec(SCHEDULES, Spec("cosine"), 10, {"max_steps": 100, "seed": 1})
    assert schedule(0) > schedule(50) > schedule(99)


def test_benchmarks_that_are_switched_off_are_left_out():
    [benchmark] = build_benchmarks(RECIPE)
    assert (benchmark.name, len(benchmark.pictures), benchmark.scale) == ("one", 1, 2)


def test_a_benchmark_for_verify_alone_is_not_built_for_training():
    later = Benchmark(Spec("embedded", names=("coffee",)), in_training=False)
    recipe = dataclasses.replace(RECIPE, benchmarks={**RECIPE.benchmarks, "later": later})
    assert [one.name for one in build_benchmarks(recipe)] == ["one"]
    assert [one.name for one in build_benchmarks(recipe, ["later"])] == ["later"]


def test_a_missing_folder_of_data_says_how_to_name_it():
    with pytest.raises(
        RecipeError, match=r"benchmarks\.b\.data = 'set5' needs the folder of the data: add data\.root"
    ):
        build_pictures(RECIPE, "benchmarks.b.data", Spec("set5"), "none")


def test_the_digest_changes_with_what_affects_the_weights():
    same = dataclasses.replace(RECIPE, name="t", benchmarks={}, train=Train(steps=9, log_every=3))
    assert training_digest(same) == training_digest(RECIPE)
    assert training_digest(dataclasses.replace(RECIPE, seed=1)) != training_digest(RECIPE)


def test_missing_low_resolution_names_the_key_of_this_set(tmp_path):
    (tmp_path / "HR").mkdir()
    write_png(tmp_path / "HR" / "a.png", np.zeros((48, 48, 3), np.uint8))
    set_here = Spec("folder", root=str(tmp_path))
    with pytest.raises(DataError, match=r"or set benchmarks\.b\.data\.lr_type=on_the_fly to make them"):
        build_pictures(RECIPE, "benchmarks.b.data", set_here, "none")
    with pytest.raises(DataError, match=r"or set lr_type='on_the_fly' to make them"):  # in the Spec
        build_pictures(RECIPE, "data.train", Spec("mix", sets=(set_here,)), "none")
    assert len(build_pictures(RECIPE, "data.train", Spec("mix", sets=(Spec("embedded"),)), "none")) == 3
