"""Recipes are read from a Python file, a ``recipe.json`` or a run folder."""

import json
import re
import sys

import pytest

from srtrain.errors import RecipeError
from srtrain.recipe.load import load_recipe
from srtrain.recipe.record import to_json


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.py"):
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


GOOD = """
from srtrain.recipe import *
def recipe():
    return Recipe(name="mine", scale=2, model=Spec("edsr"), train=Train(steps=3))
"""


def test_a_recipe_file_is_run(write):
    assert load_recipe(write(GOOD)).name == "mine"


def test_a_run_folder_and_its_json_are_recipes_too(full, write, tmp_path):
    write(to_json(full), "recipe.json")
    assert load_recipe(tmp_path) == full
    assert load_recipe(tmp_path / "recipe.json") == full


def test_a_recipe_may_import_its_neighbours_and_leaves_the_path_as_it_was(write):
    write("STEPS = 17\n", "_shared_by_recipes_of_this_test.py")
    file = write(
        "from _shared_by_recipes_of_this_test import STEPS\n" + GOOD.replace("steps=3", "steps=STEPS")
    )
    before = list(sys.path)
    assert load_recipe(file).train.steps == 17
    assert sys.path == before


def test_a_missing_recipe_suggests_its_neighbour(refusal, write, tmp_path):
    write(GOOD, "quickstart.py")
    given = str(tmp_path / "quikstart.py")
    assert refusal(load_recipe, given) == (
        f"there is no recipe {given!r}. Did you mean 'quickstart.py'? Give a .py recipe file, a run folder to "
        "resume, or a name from 'srtrain recipes'."
    )
    assert "there is no recipe 'nowhere/x.py'. Give a .py" in refusal(load_recipe, "nowhere/x.py")


def test_an_underscore_means_shared(refusal, write):
    assert refusal(load_recipe, write(GOOD, "_edsr.py")).endswith(
        "_edsr.py' starts with an underscore: it is shared by recipes and not one itself."
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", r"has no function recipe\(\)\. A recipe file defines: def recipe\(\) -> Recipe:$"),
        (
            "def recipe(): return 3",
            r"^recipe\(\) in '.*mine\.py' returned int, not srtrain\.recipe\.Recipe\.$",
        ),
        ("def recipe(:", r"mine\.py', line 1, cannot be read: SyntaxError: "),
        (
            "import nothing_of_this_name",
            r"cannot be read: ModuleNotFoundError: No module named 'nothing_of_this_",
        ),
        ("from srtrain.recipe import Recipee", r"cannot be read: ImportError: cannot import name 'Recipee'"),
    ],
)
def test_a_file_that_is_no_recipe_says_why(refusal, write, text, says):
    assert re.search(says, refusal(load_recipe, write(text)))


def test_a_file_that_is_not_python_is_refused(refusal, write):
    assert refusal(load_recipe, write("hello", "notes.txt")).endswith(
        "notes.txt' is not a Python file: a recipe ends in .py."
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            'return Recipe(name="x", scal=2, model=Spec("edsr"))',
            "TypeError: .*unexpected keyword argument 'scal'",
        ),
        ("return Recipee()", "NameError: name 'Recipee' is not defined"),
        ("return 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_mistake_inside_recipe_is_one_message(tmp_path, body, reason):
    file = tmp_path / "mine.py"
    file.write_text(f"from srtrain.recipe import *\ndef recipe():\n    {body}\n")
    with pytest.raises(RecipeError, match=rf"mine\.py.*{reason}"):
        load_recipe(file)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("model", "x", "model = 'x' is a str, but must be Spec"),
        ("hooks", {"lr": 0.5}, "hooks = .* must be"),
        ("scale", 0, "scale = 0 must be above 0"),
    ],
)
def test_a_mistake_in_a_record_is_told_with_its_file(write, full, tmp_path, key, value, reason):
    write(json.dumps({**json.loads(to_json(full)), key: value}), "recipe.json")
    with pytest.raises(
        RecipeError, match=rf"recipe\.json' is damaged, or from another version of srtrain: {reason}"
    ):
        load_recipe(tmp_path)
