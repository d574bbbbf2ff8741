"""The hash of the code behind an exported file changes with everything that decides what the file contains."""

import importlib
import sys

import pytest

from srtrain import plugins
from srtrain.infer import code
from srtrain.infer.code import code_hash
from srtrain.models import MODELS

NETWORK = """
from srtrain.models import MODELS

def factor():
    from {helper} import FACTOR
    return FACTOR

@MODELS.register("{name}")
class Network: pass
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """Forget the models and modules of a test."""
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    monkeypatch.setattr(plugins, "_active", {})
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        del sys.modules[name]


def changes(file, text):
    """Return whether a change of a file changes the hash, after checking that the hash is stable without it."""
    before = code_hash()
    assert code_hash() == before
    file.write_text(text)
    importlib.invalidate_caches()
    return code_hash() != before


def test_a_plugin_file_and_what_it_imports_count(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "code_helper.py").write_text("import code_deeper\nFACTOR = 1\n")
    (tmp_path / "code_deeper.py").write_text("")
    (tmp_path / "unrelated.py").write_text("")
    file = tmp_path / "mine.py"
    file.write_text(NETWORK.format(helper="code_helper", name="code_mine"))
    without = code_hash()
    plugins.activate(str(file))
    assert code_hash() != without
    assert changes(file, file.read_text() + "# edited\n")
    assert changes(tmp_path / "code_helper.py", "import code_deeper\nFACTOR = 2\n")
    assert changes(tmp_path / "code_deeper.py", "x = 1\n")
    assert not changes(tmp_path / "unrelated.py", "x = 1\n")


def test_every_file_of_a_plugin_package_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    inside = tmp_path / "code_package" / "parts"
    inside.mkdir(parents=True)
    (tmp_path / "code_package" / "__init__.py").write_text("from . import network")
    (tmp_path / "code_package" / "network.py").write_text(NETWORK.format(helper="math", name="code_packed"))
    (inside / "block.py").write_text("")
    plugins.activate("code_package")
    assert changes(inside / "block.py", "x = 1\n")


def test_our_own_code_counts(tmp_path, monkeypatch):
    for room in code._ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "x.py").write_text("")
    monkeypatch.setattr(code.srtrain, "__file__", str(tmp_path / "__init__.py"))
    for room in code._ROOMS:
        assert changes(tmp_path / room / "x.py", "x = 1\n")


def test_a_model_without_a_file_is_never_reused():
    namespace = {"__name__": "typed_in"}
    exec(NETWORK.format(helper="math", name="code_typed"), namespace)
    assert code_hash() != code_hash()
