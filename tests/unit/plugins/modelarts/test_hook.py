"""The hook does nothing unless it is enabled, and needs the plugin's work around a run."""

import dataclasses

import pytest
from srtrain_plugins.modelarts import ModelArtsHook, around_run
from srtrain_plugins.modelarts.hook import hook_of

from srtrain.errors import HookError
from srtrain.recipe import Recipe, Spec, Train

ENABLED = {"enable_modelarts": True, "checkpoint_url": "s3://bucket/runs"}


def recipe(**hooks):
    return Recipe(name="night", scale=2, model=Spec("edsr"), train=Train(steps=1), hooks=hooks)


def test_it_is_off_unless_it_is_enabled(make_trainer):
    trainer = make_trainer([ModelArtsHook(checkpoint_url="s3://bucket/runs")], max_steps=1)
    trainer.train()
    assert trainer.step == 1


def test_without_its_plugin_it_says_what_is_missing(make_trainer):
    with pytest.raises(HookError, match="the hook 'modelarts' works together with its plugin: add plugins="):
        make_trainer([ModelArtsHook(**ENABLED)], max_steps=1).train()


def test_its_options_are_found_under_any_key():
    key, hook = hook_of(recipe(mirror=Spec("modelarts", **ENABLED), lr=None))
    assert key == "mirror"
    assert hook is not None
    assert hook.options.results == ("hooks.modelarts.checkpoint_url", "s3://bucket/runs")
    assert hook_of(recipe(lr=Spec("lr"))) == ("", None)


@pytest.mark.parametrize("hooks", [{}, {"modelarts": Spec("modelarts", data_url="s3://bucket/data")}])
def test_a_recipe_without_it_or_with_it_off_is_left_alone(hooks):
    before = recipe(**hooks)
    with around_run(before, resume=False, overwrite=False) as after:
        assert after is before


@pytest.mark.usefixtures("s3")
def test_a_run_without_an_address_for_results_is_warned(tmp_path, capsys):
    spec = Spec("modelarts", enable_modelarts=True, output_path=str(tmp_path))
    before = recipe(modelarts=spec)
    with around_run(before, resume=False, overwrite=False) as after:
        assert after == (dataclasses.replace(before, run_dir=str(tmp_path / "night")), {}, True)
    assert (
        "warning: neither checkpoint_url nor train_url is set, so the results stay in "
        in capsys.readouterr().err
    )


@pytest.mark.usefixtures("s3")
def test_a_run_that_fails_before_it_begins_uploads_nothing_and_keeps_its_error(s3, tmp_path):
    spec = Spec("modelarts", **ENABLED, output_path=str(tmp_path))
    with (
        pytest.raises(ZeroDivisionError),
        around_run(recipe(modelarts=spec), resume=False, overwrite=False),
    ):
        raise ZeroDivisionError
    assert not [path for method, path in s3.log if method == "PUT"]
