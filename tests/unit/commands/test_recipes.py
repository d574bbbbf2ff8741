"""Recipes by name, their copies and their JSON schema; ``srtrain list``; shell completion."""

import json
import shutil
import subprocess

import jsonschema
import pytest

from srtrain.build.json_schema import recipe_schema
from srtrain.cli.main import main
from srtrain.commands.list import KINDS
from srtrain.recipe.load import load_recipe, recipe_folders, recipe_named, recipe_names
from srtrain.recipe.record import to_json


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working folder without recipes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_name_stands_for_a_recipe(elsewhere, capsys):
    assert main(["run", "edsr_baseline_x2", "--print-config", "data.root=/pictures"]) == 0
    assert "/pictures" in capsys.readouterr().out
    assert main(["count", "edsr_baseline_x2", "model.n_feats=8", "model.n_resblocks=1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("edsr_baseline_x2  x2")
    assert main(["run", "edsr_baselin_x2"]) == 2
    assert "no recipe 'edsr_baselin_x2'. Did you mean 'edsr_baseline_x2'?" in capsys.readouterr().err
    for word in ("_edsr", "../edsr_x2", "nothing"):
        assert recipe_named(word) is None, word


def test_a_file_or_folder_of_that_name_has_precedence(elsewhere):
    (elsewhere / "edsr_x2").mkdir()
    assert recipe_named("edsr_x2") is None
    (elsewhere / "recipes").mkdir()
    own = elsewhere / "recipes" / "mdsr.py"
    own.touch()
    assert recipe_named("mdsr").resolve() == own


def test_every_recipe_is_listed_with_its_title(elsewhere, capsys):
    assert main(["recipes"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert sorted(lines) == recipe_names(recipe_folders()[1])
    assert lines["quickstart"].startswith("A small EDSR x2")


def test_a_copy_works_alone_and_keeps_what_was_changed(elsewhere, capsys):
    assert main(["recipes", "copy", "edsr_x3_finetune"]) == 0
    copied = {file.name for file in (elsewhere / "recipes").iterdir()}
    assert copied == {"edsr_x3_finetune.py", "_edsr.py"}
    mine = elsewhere / "recipes" / "edsr_x3_finetune.py"
    original = recipe_folders()[1] / mine.name
    assert load_recipe(mine) == load_recipe(original)
    assert main(["recipes", "copy", "edsr_baseline_x2"]) == 0  # _edsr.py is there, and equal
    mine.write_text("# mine\n")
    capsys.readouterr()
    assert main(["recipes", "copy", str(original)]) == 2
    assert "would be replaced by another file" in capsys.readouterr().err
    assert mine.read_text() == "# mine\n"
    assert main(["recipes", "copy", str(original), "--overwrite"]) == 0
    assert mine.read_text() == original.read_text()
    assert main(["recipes", "copy", "edsr_x9"]) == 2
    assert "no recipe 'edsr_x9'. Did you mean" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["quickstart", "mdsr", "edsr_denoise", "edsr_zoo_x3", "esr_x2_search"])
def test_the_schema_accepts_recipes_and_refuses_mistakes(name):
    schema = recipe_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    recipe = json.loads(to_json(load_recipe(recipe_folders()[1] / f"{name}.py")))
    check.validate(recipe)
    for path, value in {
        ("optim", "lr"): "fast",
        ("optim", "lrr"): 1e-3,
        ("train", "mode"): "eager",
        ("train", "log_every"): 0,
        ("model",): "edsr",
        ("scale",): 2.5,
    }.items():
        wrong = json.loads(json.dumps(recipe))
        part = wrong
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value
        assert not check.is_valid(wrong), path


def test_the_schema_says_what_keys_mean_and_which_names_there_are():
    properties = recipe_schema()["properties"]
    assert properties["optim"]["properties"]["lr"]["description"].startswith("base learning rate")
    assert "edsr" in properties["model"]["properties"]["spec"]["examples"]
    assert properties["optim"]["properties"]["lr"]["default"] == 1e-4


def test_a_recipe_may_be_json(elsewhere, capsys):
    recipe = load_recipe(recipe_folders()[1] / "quickstart.py")
    (elsewhere / "mine.json").write_text(to_json(recipe))
    assert main(["run", "mine.json", "--print-config"]) == 0
    assert "quickstart" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_a_kind_are_listed_with_their_meaning(kind, capsys):
    assert main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    known = {"models": "edsr", "losses": "l1", "hooks": "ema", "engines": "native", "datasets": "set5"}
    assert len(lines) > 1
    assert all(len(line.split()) > 1 for line in lines), lines
    assert known.get(kind, lines[0].split()[0]) in [line.split()[0] for line in lines]


def complete(script, *words):
    """Return what bash offers for the last word."""
    line = f"COMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}\n"
    call = "_shtab_srtrain; printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{line}{call}"], capture_output=True, text=True, check=False
    )
    return [word.strip() for word in done.stdout.split("\n") if word.strip()]


def test_bash_completes_commands_options_and_files(elsewhere, capsys):
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", "bash"])
    assert ended.value.code == 0
    script = capsys.readouterr().out
    (elsewhere / "photo.jpg").touch()
    assert complete(script, "srtrain", "inf") == ["infer"]
    assert "--self-ensemble" in complete(script, "srtrain", "infer", "--sel")
    assert complete(script, "srtrain", "infer", "pho") == ["photo.jpg"]
    assert complete(script, "srtrain", "list", "sche") == ["schedules"]
