"""A plugin is an entry point, a module or a file; a broken one reports why; one may act around a run."""

import dataclasses
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from srtrain import plugins
from srtrain.build.around import around_run
from srtrain.errors import RecipeError
from srtrain.hooks import Hook
from srtrain.models import BLOCKS
from srtrain.recipe import Recipe, Spec, Train


def refusal(name, **where):
    with pytest.raises(RecipeError) as caught:
        plugins.activate(name, **where)
    return str(caught.value)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make an installed distribution with plugin entry points, as pip would leave it."""

    def make(entries, modules, name="thirdparty"):
        for module, text in modules.items():
            (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{entry} = {module}\n" for entry, module in entries.items())
        (info / "entry_points.txt").write_text(f"[srtrain.plugins]\n{lines}")
        monkeypatch.syspath_prepend(str(tmp_path))

    return make


def registers(name):
    return f"from srtrain.models import BLOCKS\n@BLOCKS.register({name!r})\ndef block(): return __name__\n"


def test_an_entry_point_is_imported_only_when_it_is_named(package):
    package({"announced": "plugin_module_a"}, {"plugin_module_a": registers("from_entry_point")})
    (entry,) = plugins.installed()["announced"]
    assert plugins.origin(entry) == "plugin_module_a of thirdparty 1.0"
    assert "plugin_module_a" not in sys.modules
    assert plugins.activate("announced") == "announced"
    assert BLOCKS.build("from_entry_point") == "plugin_module_a"


def test_a_module_on_the_path_is_a_plugin(package):
    package({}, {"plugin_module_b": registers("from_module")})
    assert plugins.activate("plugin_module_b") == "plugin_module_b"
    assert BLOCKS.build("from_module") == "plugin_module_b"


def test_a_file_is_a_plugin_and_is_run_once(tmp_path, monkeypatch):
    file = tmp_path / "my_plugin_c.py"
    file.write_text(registers("from_file"))
    monkeypatch.chdir(tmp_path)
    absolute = plugins.activate("my_plugin_c.py")
    assert absolute == str(file)
    block = BLOCKS.get("from_file")
    assert plugins.activate(absolute) == absolute  # a second run of the file would register a duplicate
    assert BLOCKS.get("from_file") is block


def test_the_source_of_a_class_in_a_file_can_be_found(tmp_path):
    file = tmp_path / "my_plugin_d.py"
    file.write_text("class Here:\n    here = 1\n")
    plugins.activate(str(file))
    assert "here = 1" in inspect.getsource(sys.modules["srtrain_user_my_plugin_d"].Here)


def test_a_relative_file_is_looked_up_in_the_working_folder_then_beside_the_recipe(tmp_path, monkeypatch):
    here, recipes = tmp_path / "here", tmp_path / "recipes"
    for folder in (here, recipes):
        folder.mkdir()
        (folder / "my_plugin_e.py").write_text("")
    monkeypatch.chdir(here)
    assert plugins.activate("my_plugin_e.py", beside=recipes) == str(here / "my_plugin_e.py")
    (here / "my_plugin_e.py").unlink()
    assert plugins.activate("my_plugin_e.py", beside=recipes) == str(recipes / "my_plugin_e.py")


def test_a_missing_file_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal("gone.py", beside=Path("/some/recipes")) == (
        f"there is no plugin file 'gone.py'; looked at /some/recipes/gone.py, {tmp_path}/gone.py."
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError: "),
        (registers("residual"), "UnknownNameError: the block 'residual' is registered twice: first by "),
    ],
)
def test_a_broken_plugin_shows_its_reason_and_leaves_nothing_behind(tmp_path, text, reason):
    importlib.import_module("srtrain.models.blocks")  # registers "residual"
    file = tmp_path / "broken.py"
    file.write_text(text)
    assert refusal(str(file)).startswith(f"the plugin {str(file)!r} fails when it is imported: {reason}")
    assert "srtrain_user_broken" not in sys.modules


def test_a_broken_entry_point_shows_its_reason(package):
    package({"half_installed": "plugin_module_f"}, {"plugin_module_f": "import missing_dependency"})
    assert refusal("half_installed") == (
        "the plugin 'half_installed' fails when it is imported: ModuleNotFoundError: No module named "
        "'missing_dependency'"
    )


def test_a_plugin_that_ends_the_process_when_it_is_imported_is_broken_too(tmp_path):
    file = tmp_path / "leaves.py"
    file.write_text("raise SystemExit('no licence')")
    assert refusal(str(file)) == f"the plugin {str(file)!r} fails when it is imported: SystemExit: no licence"


def test_one_name_announced_by_two_packages_is_refused_for_that_name_alone(package):
    package({"twice": "plugin_module_h", "once": "plugin_module_h"}, {"plugin_module_h": ""})
    package({"twice": "plugin_module_i"}, {"plugin_module_i": ""}, name="other")
    text = refusal("twice")
    assert text.startswith("two installed packages announce a plugin 'twice': ")
    assert "plugin_module_h of thirdparty 1.0" in text
    assert "plugin_module_i of other 1.0" in text
    assert plugins.activate("once") == "once"


def test_one_package_that_is_found_twice_is_one(package, tmp_path, monkeypatch):
    package({"editable": "plugin_module_j"}, {"plugin_module_j": ""})
    package({"editable": "plugin_module_j"}, {}, name="thirdparty_again")
    assert plugins.activate("editable") == "editable"


def test_what_a_plugin_registered_is_known_also_when_it_replaced_something(package):
    text = registers("from_k") + "@BLOCKS.register('from_module_l', replace=True)\ndef mine(): return 1\n"
    BLOCKS.register("from_module_l")(lambda: 0)
    package({}, {"plugin_module_k": text})
    loaded = plugins.load("plugin_module_k")
    assert loaded.registered == {"block": ["from_k", "from_module_l"]}
    assert plugins.load("plugin_module_k") is loaded


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
    with around_run(recipe, resume=True, overwrite=False) as (changed, hooks):
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
    with around_run(module, resume=False, overwrite=False) as (recipe, hooks):
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


def test_an_unknown_plugin_lists_and_suggests(package):
    package({"modelarts_like": "plugin_module_g"}, {"plugin_module_g": ""})
    text = refusal("modelart_like")
    assert text.startswith(
        "there is no plugin 'modelart_like'. Did you mean 'modelarts_like'? Installed plugins: "
    )
    assert text.endswith(" A module on the Python path or a path that ends in .py works too.")
    assert "there is no plugin 'no.such.module'." in refusal("no.such.module")


@pytest.mark.slow
def test_a_plugin_may_replace_what_the_package_has(tmp_path, repo_root):
    file = tmp_path / "replacing.py"
    file.write_text(
        "from mindspore import nn\nfrom srtrain.trainer.losses import LOSSES\n"
        "@LOSSES.register('l1', replace=True)\nclass Mine(nn.Cell):\n"
        "    def construct(self, sr, gt):\n        return sr\n"
    )
    command = [
        sys.executable,
        "-m",
        "srtrain.cli",
        "run",
        str(repo_root / "recipes/quickstart.py"),
        "--print-config",
    ]
    result = subprocess.run(
        [*command, "--plugin", str(file)], capture_output=True, text=True, cwd=repo_root, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
