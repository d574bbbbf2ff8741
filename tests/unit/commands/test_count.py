"""``srtrain count``: known numbers, and mistakes."""

import json
from pathlib import Path

import pytest

from srtrain.cli.main import main

RECIPES = Path(__file__).resolve().parents[3] / "recipes"


@pytest.mark.slow
def test_known_networks_have_their_known_numbers(capsys):
    files = [str(RECIPES / f"{name}.py") for name in ("esr_x2_full", "edsr_x2", "edsr_baseline_x4")]
    assert main(["count", *files, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [f["parameters"] for f in found] == [520_595, 40_729_603, 1_517_571]
    assert [f["scale"] for f in found] == [2, 2, 4]
    assert [round(f["multi_adds"] / 1e9, 1) for f in found] == [111.6, 9384.7, 114.2]


def test_it_prints_a_table_and_takes_overrides(capsys):
    words = [
        str(RECIPES / "edsr_baseline_x2.py"),
        "model.n_resblocks=1",
        "model.n_feats=8",
        "--output-px",
        "640x360",
    ]
    assert main(["count", *words]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["model", "scale", "parameters", "G", "multi-adds", "for", "640x360"]
    # 3·8·9+8, two of 8·8·9+8 in the block and one behind it, 8·32·9+32 before the shuffle, 8·3·9+3 after it
    assert row.split() == [words[0], "x2", f"{224 + 3 * 584 + 2336 + 219:,}", "0.3"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--output-px", "large"], "--output-px 'large' is not a size. Write WIDTHxHEIGHT"),
        (["--output-px", "0x720"], "is not a size"),
        (["model.n_feat=3"], "n_feat"),
    ],
)
def test_mistakes_are_said(capsys, words, says):
    assert main(["count", str(RECIPES / "edsr_baseline_x2.py"), *words]) == 2
    assert says in capsys.readouterr().err


def test_what_is_not_there(capsys):
    assert main(["count", "nowhere.py"]) == 2
    assert "nowhere.py" in capsys.readouterr().err


def test_a_change_without_a_recipe_is_named(capsys):
    assert main(["count", "model=esrn"]) == 2
    assert "there is no network to count: 'model=esrn' is a change to a recipe" in capsys.readouterr().err
