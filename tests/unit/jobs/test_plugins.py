"""``srtrain plugins`` shows each plugin's state; a broken plugin only affects runs that use it."""

import pytest

from srtrain import plugins
from srtrain.cli.main import main


@pytest.fixture
def lists(tmp_path, monkeypatch, capsys):
    """Install plugins from source texts and run the command; return its exit code and its paragraphs by name."""

    def run(texts, *words):
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text)
        info = tmp_path / "thirdparty-2.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 2.1\n")
        lines = "".join(f"{name} = {name}\n" for name in texts)
        (info / "entry_points.txt").write_text(f"[srtrain.plugins]\n{lines}")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        # Those of the package are examined too, each by importing MindSpore, in test_third_party_plugin.py.
        installed = plugins.installed
        monkeypatch.setattr(
            plugins, "installed", lambda: {name: at for name, at in installed().items() if name in texts}
        )
        code = main(["plugins", *words])
        shown: dict[str, list[str]] = {}
        for line in capsys.readouterr().out.splitlines():
            if not line.startswith(" "):
                name, _, state = line.partition(": ")
                shown[name] = [state]
            else:
                shown[name].append(line.strip())
        return code, shown

    return run


GOOD = "from srtrain.models import BLOCKS\n@BLOCKS.register({!r})\ndef block(): return 1\n"
RECIPE = """
from srtrain.recipe import Recipe, Spec, Train

def recipe():
    return Recipe("r", 2, Spec("edsr"), train=Train(steps=1), plugins=("listed_b", "listed_missing"))
"""


@pytest.mark.slow
def test_found_active_and_broken(lists, tmp_path):
    (tmp_path / "r.py").write_text(RECIPE)
    texts = {
        "listed_a": GOOD.format("listed_block_a") + "def around_run(recipe): pass\n",
        "listed_b": "import srtrain.trainer.losses\n" + GOOD.format("listed_block_b"),
        "listed_c": "import no_such_library",
        "listed_d": "import os; os._exit(3)",
    }
    code, shown = lists(texts, "r.py", "--plugin", "listed_e.py")
    assert code == 2
    origin = "of thirdparty 2.1)"
    assert shown["listed_a"] == [
        f"found, not active  (listed_a {origin}",
        "block: listed_block_a",
        "acts before and after a run (around_run)",
    ]
    assert shown["listed_b"] == [f"active, asked for by r.py  (listed_b {origin}", "block: listed_block_b"]
    assert shown["listed_c"] == [
        f"BROKEN  (listed_c {origin}",
        "the plugin 'listed_c' fails when it is imported: ModuleNotFoundError: No module named 'no_such_library'",
    ]
    assert shown["listed_d"] == [
        f"BROKEN  (listed_d {origin}",
        "its import ends the process with exit code 3: it prints nothing",
    ]
    assert shown["listed_missing"][0] == "BROKEN, asked for by r.py"
    assert shown["listed_missing"][1].startswith("there is no plugin 'listed_missing'.")
    assert shown["listed_e.py"][0] == "BROKEN, asked for by --plugin"


@pytest.mark.slow
def test_a_broken_plugin_that_is_not_asked_for_is_no_failure(lists):
    code, shown = lists({"listed_f": "1 / 0"})
    assert code == 0
    assert shown["listed_f"][0].startswith("BROKEN  (")


@pytest.mark.slow
def test_names_of_two_active_plugins_that_clash_are_found(lists):
    texts = {"listed_g": GOOD.format("listed_clash"), "listed_h": GOOD.format("listed_clash")}
    code, shown = lists(texts, "--plugin", "listed_g", "--plugin", "listed_h")
    assert code == 2
    assert shown["listed_g"][1:] == ["block: listed_clash"]
    assert "the block 'listed_clash' is registered twice: first by " in shown["listed_h"][1]
