"""The smoke version of every recipe runs on this CPU and learns; fine-tuned ones start from their source's.

Many twins train the same network on the same pictures and differ only in ``res_scale`` and in the weights that they
start from. One of each kind trains to its end; the others train two updates, line by line, which compiles nothing.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest

from srtrain.cli.main import main
from srtrain.recipe import Recipe, Spec
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import parse_value
from srtrain.recipe.record import to_json

FOLDER = Path(__file__).resolve().parents[2] / "recipes"
TWINS = {file.stem: load_recipe(file, "smoke") for file in FOLDER.glob("[!_]*.py")}
SEARCHES = sorted(name for name, twin in TWINS.items() if "search" in twin.hooks)
STARTS = {name: twin.init_from for name, twin in TWINS.items() if name not in SEARCHES}


def kind(twin: Recipe) -> str:
    """Return what is left of a twin without its name, its start, the scale of its residuals and its self-ensembles."""
    args = {name: value for name, value in twin.model.args.items() if name != "res_scale"}
    model = Spec(twin.model.name, **args)
    hooks = {**twin.hooks, "evaluate": None, "self_ensemble": None}
    return to_json(dataclasses.replace(twin, name="", init_from="", model=model, hooks=hooks))


# A recipe that starts from another's run comes after it.
ORDER = sorted(STARTS, key=lambda name: (bool(STARTS[name]), "plus" not in name, name))
# Of each kind the last one in this order learns, so that starting from another's weights is among what is tried.
LEARNERS = set({kind(TWINS[name]): name for name in ORDER}.values())


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("smoke")


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDER)
def test_its_twin_learns(name: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    learns = name in LEARNERS
    without = [f"hooks.{hook}=None" for hook in NEEDLESS if hook in TWINS[name].hooks]
    assert main(["run", str(FOLDER / f"{name}.py"), "--smoke", *(() if learns else (*BRIEF, *without))]) == 0
    run = workplace / "runs" / f"{name}_smoke"
    log = (run / "run.log").read_text()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    plain: dict[str, list[float]] = {}
    for row in rows:
        if row.get("method") == "plain":
            plain.setdefault(row["benchmark"], []).append(row["psnr"])
    if learns:
        assert "it learns: loss " in log
        assert losses[-1] < losses[0]
        assert set(plain) == set(TWINS[name].benchmarks)
        assert all(scores[-1] > scores[0] + 0.3 for scores in plain.values())
        if TWINS[name].scale == 1:  # the input is a picture of full size, which a network has to improve
            gains = [line for line in log.splitlines() if "PSNR on chelsea" in line]
            assert gains
            assert all("gain +" in line for line in gains)
    else:
        assert all(map(math.isfinite, losses))
        assert len(losses) == 2
    if STARTS[name]:
        assert f"weights from {workplace / STARTS[name]}/" in log


BRIEF = ("train.steps=2", "train.log_every=1", "train.mode=pynative")
NEEDLESS = ("evaluate", "self_ensemble", "require_learning")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "esr_denoise_search",
            ("train.mode=pynative", "train.steps=4", "train.log_every=2", "model.n_colors=1"),
        ),
        ("esr_x2_search", ()),
        ("esr_x2_t91_search", ("train.mode=pynative", "train.steps=16", "train.log_every=8")),
    ],
)
def test_the_twin_of_a_search_finds_something(
    name: str, words: tuple[str, ...], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each candidate is another network, which takes longer to compile than to train: one search compiles."""
    monkeypatch.chdir(workplace)
    shorter = "hooks.search.evolution.n_generations=2"
    assert main(["run", str(FOLDER / f"{name}.py"), "--smoke", shorter, *words]) == 0
    run = workplace / "runs" / f"{name}_smoke"
    candidates = json.loads((run / "search" / "history.json").read_text())
    scores = [c["objectives"]["psnr"] for c in candidates if not c["reason"]]
    assert len(scores) == len(candidates) > 5
    assert min(scores) > (5 if "denoise" in name else 15)  # so few updates do not undo the initial weights
    assert f"{max(scores):.3f}" in (run / "report.html").read_text()


def test_every_search_is_tried() -> None:
    assert SEARCHES == ["esr_denoise_search", "esr_x2_search", "esr_x2_t91_search"]


def test_a_twin_keeps_what_the_recipe_is_about() -> None:
    recipe, twin = (load_recipe(FOLDER / "edsr_zoo_x3.py", kind) for kind in ("recipe", "smoke"))
    same = ("scale", "loss", "init", "precision", "plugins", "seed")
    assert [getattr(twin, key) for key in same] == [getattr(recipe, key) for key in same]
    assert twin.optim.optimizer == recipe.optim.optimizer
    assert twin.optim.schedule == parse_value("Spec('milestones', at=(32,), gamma=0.5)")  # 48 x 4000 / 6000
    small = {"n_resblocks": 2, "n_feats": 16, "res_scale": 0.1, "zoo_normalisation": True}
    assert (twin.model.args, twin.optim.lr) == (small, 5e-4)  # 2e-3 of other twins diverges on [0, 1]
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
    assert f"{str(tmp_path / 'runs' / 'edsr_x2_smoke')!r} does not exist" in capsys.readouterr().err


def test_a_run_folder_has_no_twin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.json").write_text(to_json(load_recipe(FOLDER / "quickstart.py")))
    assert main(["run", str(tmp_path), "--smoke"]) == 2
    assert "is a run's record, which has no smoke()" in capsys.readouterr().err
