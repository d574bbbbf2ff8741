"""A plugin is an entry point, a module, or a file; an error says why a plugin cannot be imported."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from srtrain import plugins
from srtrain.errors import RecipeError
from srtrain.models import BLOCKS


def refusal(name, **where):
    with pytest.raises(RecipeError) as caught:
        plugins.activate(name, **where)
    return str(caught.value)


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
    assert text.startswith("two installed packages declare a plugin 'twice': ")
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
