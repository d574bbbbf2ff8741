"""The one-minute twin of every recipe runs on this CPU and learns; a fine-tuned one starts from its source's twin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from srtrain.cli.main import main
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import parse_value
from srtrain.recipe.record import to_json

FOLDER = Path(__file__).resolve().parents[2] / "recipes"
TWINS = {file.stem: load_recipe(file, "smoke") for file in FOLDER.glob("[!_]*.py")}
SEARCHES = sorted(name for name, twin in TWINS.items() if "search" in twin.hooks)
STARTS = {name: twin.init_from for name, twin in TWINS.items() if name not in SEARCHES}
# A recipe that starts from another's run comes after it.
ORDER = sorted(STARTS, key=lambda name: (bool(STARTS[name]), name))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("smoke")


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDER)
def test_its_twin_learns(name: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    assert main(["run", str(FOLDER / f"{name}.py"), "--smoke"]) == 0
    run = workplace / "runs" / f"{name}_smoke"
    log = (run / "run.log").read_text()
    assert "it learns: loss " in log
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    plain = [row["psnr"] for row in rows if row.get("method") == "plain"]
    assert losses[-1] < losses[0]
    assert plain[-1] > plain[0] + 0.3
    if STARTS[name]:
        assert f"weights from {STARTS[name]}/" in log


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_the_twin_of_a_search_finds_something(
    name: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    assert main(["run", str(FOLDER / f"{name}.py"), "--smoke"]) == 0
    run = workplace / "runs" / f"{name}_smoke"
    candidates = json.loads((run / "search" / "history.json").read_text())
    scores = [c["objectives"]["psnr"] for c in candidates if not c["reason"]]
    assert len(scores) == len(candidates) > 5
    assert min(scores) > 15
    assert f"{max(scores):.3f}" in (run / "report.html").read_text()


def test_a_twin_keeps_what_the_recipe_is_about() -> None:
    recipe, twin = (load_recipe(FOLDER / "edsr_zoo_x3.py", kind) for kind in ("recipe", "smoke"))
    same = ("scale", "loss", "init", "precision", "plugins", "seed")
    assert [getattr(twin, key) for key in same] == [getattr(recipe, key) for key in same]
    assert twin.optim.optimizer == recipe.optim.optimizer
    assert twin.optim.schedule == parse_value("Spec('milestones', at=(107,), gamma=0.5)")  # 160 x 4000 / 6000
    assert twin.model.args == {"n_resblocks": 2, "n_feats": 16, "res_scale": 0.1}
    assert (twin.name, twin.init_from, twin.device.name) == (
        "edsr_zoo_x3_smoke",
        "runs/edsr_zoo_x2_smoke",
        "cpu",
    )
    assert twin.benchmarks["chelsea"].protocol == "div2k_rgb"


def test_a_twin_whose_start_is_missing_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(FOLDER / "edsr_x3_finetune.py"), "--smoke"]) == 2
    assert "'runs/edsr_x2_smoke' does not exist" in capsys.readouterr().err


def test_a_run_folder_has_no_twin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.json").write_text(to_json(load_recipe(FOLDER / "quickstart.py")))
    assert main(["run", str(tmp_path), "--smoke"]) == 2
    assert "is a run's record, which has no smoke()" in capsys.readouterr().err
