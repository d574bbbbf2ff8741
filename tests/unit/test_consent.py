"""Plugins that a run folder names are run only with consent, which is kept outside of that folder."""

import sys

import pytest

from srtrain import consent, plugins
from srtrain.errors import RecipeError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run folder with a plugin file; consents go into a folder of this test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    run = tmp_path / "run"
    run.mkdir()
    (run / "evil.py").write_text("raise SystemExit('the plugin was run')")
    return run


def refusal(*args):
    with pytest.raises(RecipeError) as caught:
        consent.allowed(*args)
    return str(caught.value)


def test_a_file_that_a_run_folder_names_is_refused_and_named(folder):
    file = str(folder / "evil.py")
    text = refusal([file], folder)
    assert repr(str(folder)) in text
    assert f"add --plugin {file}." in text
    assert not (folder.parent / "config").exists()


def test_installed_plugins_and_the_modules_of_the_project_need_no_consent(folder):
    names = ["esr", "srtrain_plugins.esr", "srtrain_plugins.esr.run.hook"]
    assert consent.allowed(names, folder) == names


def test_a_module_is_refused_and_its_package_is_not_imported(folder, monkeypatch):
    (folder / "shadow").mkdir()
    for name in ("__init__", "inner"):
        (folder / "shadow" / f"{name}.py").write_text("raise SystemExit('the plugin was run')")
    monkeypatch.syspath_prepend(str(folder))
    assert "--plugin shadow.inner." in refusal(["shadow.inner"], folder)
    assert "shadow" not in sys.modules
    assert consent.allowed(["shadow.inner"], folder, ["shadow.inner"]) == ["shadow.inner"]
    (folder / "shadow" / "__init__.py").write_text("raise SystemExit('another')")
    assert "--plugin shadow.inner." in refusal(["shadow.inner"], folder)


def test_consent_on_the_command_line_holds_for_this_folder_and_this_content(folder, tmp_path, monkeypatch):
    file = str(folder / "evil.py")
    monkeypatch.chdir(folder)
    assert consent.allowed([file], folder, ["evil.py"]) == [file]
    assert consent.allowed([file], folder) == [file]
    assert consent.allowed([file], folder / ".." / "run") == [file]
    assert "--plugin" in refusal([file], tmp_path)
    (folder / "evil.py").write_text("raise SystemExit('another text')")
    assert "--plugin" in refusal([file], folder)


def test_a_run_that_the_user_starts_is_remembered(folder):
    file = str(folder / "evil.py")
    assert consent.remember(["esr", file], folder) == ""
    assert consent.allowed([file], folder) == [file]


def test_a_file_that_was_moved_is_given_again(folder, tmp_path):
    assert consent.allowed(["/gone/evil.py"], folder, [str(folder / "evil.py")]) == [str(folder / "evil.py")]
    assert "there is no plugin file '/gone/evil.py'" in refusal(["/gone/evil.py"], folder)


def test_without_a_place_for_consents_a_run_goes_on_and_says_why(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    assert "Not a directory" in consent.remember([str(folder / "evil.py")], folder)
    assert "--plugin" in refusal([str(folder / "evil.py")], folder)


def test_nothing_is_imported_to_find_a_module():
    assert plugins.module_places("no_such_module_at_all") == ()
    assert plugins.module_places("json.no_such_part") == ()
    assert plugins.module_places("..") == ()
    (folder,) = plugins.module_places("mindspore.dataset.audio.transforms")
    assert folder.name == "mindspore"
