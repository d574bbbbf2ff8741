"""Plugins act before and after a run."""

import dataclasses

import pytest

from srtrain.build.around import around_run
from srtrain.errors import RecipeError
from srtrain.hooks import Hook
from srtrain.recipe import Recipe, Spec, Train

AROUND = """
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from srtrain.hooks import Hook
from srtrain.recipe import Spec

@contextmanager
def around_run(recipe, *, resume, overwrite):
    diary = Path({diary!r})
    diary.write_text(diary.read_text() + f"+{name} {{recipe.name}} {{resume}} {{overwrite}}\\n")
    try:
        yield {result}
    except ZeroDivisionError:
        diary.write_text(diary.read_text() + "!{name}\\n")
        raise
    diary.write_text(diary.read_text() + "-{name}\\n")
"""


@pytest.fixture
def around(tmp_path, package):
    """Make plugin modules whose around_run records its calls; return the record and a recipe that names them."""
    diary = tmp_path / "diary"
    diary.write_text("")

    def make(**results):
        texts = {
            name: AROUND.format(diary=str(diary), name=name, result=result)
            for name, result in results.items()
        }
        package({}, {**texts, "plugin_module_plain": ""})
        train = Train(steps=1)
        recipe = Recipe("night", 2, Spec("edsr"), train=train, plugins=("plugin_module_plain", *texts))
        return diary, recipe

    return make


def test_around_run_changes_the_recipe_and_is_left_in_reverse_order(around):
    diary, recipe = around(p_one="replace(recipe, name='day')", p_two="replace(recipe, run_dir='there')")
    with around_run(recipe, resume=True, overwrite=False) as prepared:
        changed, hooks = prepared.recipe, prepared.hooks
        assert changed == dataclasses.replace(recipe, name="day", run_dir="there")
        assert hooks == {}
        assert diary.read_text() == "+p_one night True False\n+p_two day True False\n"
    assert diary.read_text().splitlines()[2:] == ["-p_two", "-p_one"]


def test_around_run_sees_how_a_run_failed(around):
    diary, recipe = around(p_three="recipe")
    with (
        pytest.raises(ZeroDivisionError),
        around_run(recipe, resume=False, overwrite=True),
    ):
        raise ZeroDivisionError
    assert diary.read_text() == "+p_three night False True\n!p_three\n"


def test_a_plugin_named_in_two_ways_acts_once(around, package):
    diary, recipe = around(p_four="recipe")
    package({"entry_four": "p_four"}, {}, name="four")
    both = dataclasses.replace(recipe, plugins=("p_four", "entry_four"))
    with around_run(both, resume=False, overwrite=False):
        pass
    assert diary.read_text() == "+p_four night False False\n-p_four\n"


def test_around_run_may_bring_the_hooks_that_it_has_built(around):
    module = around(p_hooks="replace(recipe, hooks={'lr': Spec('lr')}), {'lr': Hook()}")[1]
    with around_run(module, resume=False, overwrite=False) as prepared:
        recipe, hooks = prepared.recipe, prepared.hooks
        assert recipe.hooks == {"lr": Spec("lr")}
        assert type(hooks["lr"]) is Hook


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (
            "(replace(recipe, hooks={}), {'mine': Hook()})",
            "around_run of the plugin 'p_{}' yields a Hook for hooks.mine. It may yield Hook objects, under the keys "
            "of the recipe's hooks: (none).",
        ),
        ("'the recipe'", "around_run of the plugin 'p_{}' yields a str, not the recipe."),
        ("replace(recipe, scale=0)", "scale = 0 must be above 0."),
    ],
)
def test_what_around_run_yields_is_checked(around, result, says):
    name = f"refused_{len(says)}"
    _, recipe = around(**{f"p_{name}": result})
    with (
        pytest.raises(RecipeError) as caught,
        around_run(recipe, resume=False, overwrite=False),
    ):
        pass
    assert str(caught.value) == says.format(name)
