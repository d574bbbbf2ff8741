"""What is written as JSON reads back equal, and the digest ignores where files lie."""

import dataclasses

import pytest

from srtrain.errors import RecipeError
from srtrain.recipe import Data, Optim, Recipe, Spec, Train
from srtrain.recipe.override import override
from srtrain.recipe.record import digest, from_json, to_json
from srtrain.recipe.text import differences


@pytest.mark.parametrize("name", ["full", "small"])
def test_what_is_written_reads_back_equal(name, request):
    recipe = request.getfixturevalue(name)
    again = from_json(to_json(recipe))
    assert again == recipe
    assert to_json(again) == to_json(recipe)
    assert digest(again) == digest(recipe)
    assert differences(recipe, again) == {}


def test_a_recipe_of_the_test_uses_every_field_other_than_the_default(full):
    default = Recipe(name="", scale=0, model=Spec(""))
    for owner, plain in ((full, default), (full.data, Data()), (full.train, Train()), (full.optim, Optim())):
        unused = [
            f.name for f in dataclasses.fields(owner) if getattr(owner, f.name) == getattr(plain, f.name)
        ]
        assert set(unused) <= {"precision", "device", "batch_size", "cache", "workers", "steps"}


def test_the_digest_changes_with_what_is_said_and_not_with_where_files_are(full):
    changes = ["seed=6", "model.res_scale=0.2", "hooks.ema.decay=0.98", "benchmarks.a.protocol=paper_y"]
    digests = {digest(override(full, [change])) for change in changes}
    assert len(digests | {digest(full)}) == len(changes) + 1
    assert digest(override(full, ["data.root=x", "run_dir=y"])) == digest(full)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "{}",
        "[" * 9999,
        '{"name": "\\ud800"}',
        '{"scale": ' + "9" * 5000 + "}",
        '{"name": "x", "scale": 2, "modell": 1}',
        '{"name": "x", "scale": 2, "model": {"spec": null, "args": {}}}',
        '{"name": "x", "scale": 2, "model": {"spec": "edsr", "args": []}}',
        '{"name": "x", "scale": 2, "model": {"spec": "edsr", "args": {"a": {"epochs": "3"}}}}',
    ],
)
def test_json_that_is_no_recipe_is_named(refusal, text):
    assert refusal(from_json, text, "runs/x/recipe.json").startswith(
        "runs/x/recipe.json is not a recipe that this version can read: "
    )


@pytest.mark.parametrize("text", ["[]", '"x"', "3"])
def test_json_that_is_no_object_is_no_recipe(text):
    with pytest.raises(RecipeError, match="is not a recipe that this version can read"):
        from_json(text)
