"""benchmarks/esr_credit.py: the tables it accepts, the searches on them, and the verdicts."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from srtrain_plugins.esr.search.costs import Costs
from srtrain_plugins.esr.search.evolution import EvolutionSettings
from srtrain_plugins.esr.search.space import Space, SpaceSettings

from srtrain.errors import DataError, RecipeError

pytestmark = pytest.mark.slow

SPACE = {
    "types": ["S", "G"], "type_prob": [1, 1], "n_convs": [1, 2], "conv_prob": [1, 1], "growths": [8],
    "growth_prob": [1], "n_feats": 8, "n_nodes": 3, "min_active": 2, "min_params": 0, "max_params": 10**6,
}  # fmt: skip


@pytest.fixture
def esr_credit():
    import esr_credit

    yield esr_credit
    del sys.modules["esr_credit"]


@pytest.fixture(scope="module")
def content():
    """All 80 networks of a small space. S_2_8_8 is the good block, and bypassing a block shows it."""
    space = Space(SpaceSettings(**SPACE), Costs(2, 8))
    rng = np.random.default_rng(0)
    genomes = {}
    for blocks in space.networks():
        kinds = [space.index[name] for name in blocks]
        worth = [0.1 * (name == "S_2_8_8") + 0.05 for name in blocks]
        genomes[" ".join(blocks)] = {
            "psnr": 30 + sum(worth) + rng.normal(0, 0.02),
            "parameters": space.walk([True] * len(blocks), kinds)[0],
            "drops": [worth[0], None, *worth[2:]],
        }
    return {"about": {"scale": 2, "trained": "made up"}, "space": SPACE, "genomes": genomes}


@pytest.fixture
def write(tmp_path):
    def write(content):
        file = tmp_path / "table.json"
        file.write_text(json.dumps(content))
        return file

    return write


def without(content, n):
    return {**content, "genomes": dict(list(content["genomes"].items())[n:])}


def test_a_table_is_read(esr_credit, content, write):
    table = esr_credit.read_table(write(content))
    assert len(table.genomes) == 4**2 + 4**3
    assert table.genomes["G_1_8_8", "S_2_8_8"].drops == (0.05, None)
    assert max(table.psnr) == max(entry["psnr"] for entry in content["genomes"].values())


def test_networks_that_failed_have_no_entry_and_no_score(esr_credit, content, write):
    file = write({**without(content, 3), "about": {"failed": 3}})
    table = esr_credit.read_table(file)
    assert len(table.genomes) == 80
    assert sum(outcome.failed for outcome in table.genomes.values()) == 3
    curve = esr_credit.best_so_far(table, "random", 0, 80, EvolutionSettings())
    assert curve[-1] == max(table.psnr)


def changed(content, **values):
    name = next(iter(content["genomes"]))
    entry = {**content["genomes"][name], **values}
    return {**content, "genomes": {**content["genomes"], name: entry}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: [], "is not a table: TypeError"),
        (lambda c: {"about": {}}, "is not a table: KeyError: 'space'"),
        (
            lambda c: {**c, "space": {**SPACE, "growth": [8]}},
            "takes no argument 'growth'. Did you mean 'growths'",
        ),
        (
            lambda c: without(c, 2),
            "lacks 2 of the 80 networks of its space, such as 'S_1_8_8 S_1_8_8', but 'failed' in 'about' is 0",
        ),
        (
            lambda c: {**c, "space": {**SPACE, "min_active": 3}},
            r"has networks outside of its 'space' \(16\)",
        ),
        (lambda c: {**c, "about": {"scale": 3}}, "at scale 3 with 8 channels it has .* Correct 'scale'"),
        (lambda c: changed(c, psnr=None), "the entry 'S_1_8_8 S_1_8_8' is .* It must have 'psnr'"),
        (lambda c: changed(c, psnr=float("nan")), "numbers must be finite"),
        (lambda c: changed(c, drops=[0.1]), "drops must have one for each block"),
    ],
)
def test_what_is_no_table_is_refused(esr_credit, content, write, change, message):
    with pytest.raises((DataError, RecipeError), match=message):
        esr_credit.read_table(write(change(content)))


def test_a_missing_file(esr_credit, tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        esr_credit.read_table(tmp_path / "none.json")


def test_searches_have_one_budget_and_begin_alike(esr_credit, content, write):
    table = esr_credit.read_table(write(content))
    settings = EvolutionSettings(n_generations=3)
    curves = [esr_credit.best_so_far(table, method, 4, 20, settings) for method in esr_credit.METHODS]
    for curve in curves:
        assert len(curve) == 20
        assert (np.diff(curve) >= 0).all()
        assert curve[:8].tolist() == curves[0][:8].tolist()
    whole = esr_credit.best_so_far(table, "random", 4, 80, settings)
    assert whole[-1] == max(table.psnr)


def test_it_judges_by_the_interval(esr_credit):
    rng = np.random.default_rng(0)
    start = np.zeros((40, 3))
    baseline = start + rng.normal(0, 0.1, (40, 1))
    curves = {
        "uniform": baseline,
        "lineage": baseline + np.abs(rng.normal(0.1, 0.02, (40, 1))),
        "ablation": baseline + rng.normal(0, 0.05, (40, 1)),
        "random": baseline - 0.2,
    }
    judged = {method: esr_credit.judge(curves, method, best=1.0) for method in curves}
    assert judged["lineage"]["best_minus_uniform"]["verdict"] == "better"
    assert judged["ablation"]["area_minus_uniform"]["verdict"] == "no difference shown"
    assert judged["random"]["best_minus_uniform"]["verdict"] == "worse"
    assert judged["random"]["best_minus_uniform"]["mean"] == pytest.approx(-0.2)
    assert judged["uniform"]["regret"]["mean"] == pytest.approx(1 - baseline[:, -1].mean())
    assert "best_minus_uniform" not in judged["uniform"]


def test_an_interval_holds_the_truth_as_often_as_it_says(esr_credit):
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        estimate = esr_credit.Estimate.of(rng.normal(3, 1, 25))
        held += estimate.low <= 3 <= estimate.high
    assert 50 <= held <= 60


def test_the_whole_command(esr_credit, content, write, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(esr_credit, "N_RESAMPLES", 200)
    plot = tmp_path / "credit.png"
    command = [
        "compare",
        "--table",
        str(write(content)),
        "--budget",
        "30",
        "--seeds",
        "4",
        "--plot",
        str(plot),
    ]
    monkeypatch.setattr(sys, "argv", ["esr_credit.py", *command])
    assert esr_credit.main() == 0
    text = capsys.readouterr().out
    result = json.loads(text.splitlines()[-1])
    assert set(result["methods"]) == {"uniform", "lineage", "ablation", "random"}
    assert result["budget"] == 30
    assert "ablation minus uniform, best: " in text
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_budget_beyond_the_table(esr_credit, content, write, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["esr_credit.py", "compare", "--table", str(write(content)), "--budget", "81"]
    )
    assert esr_credit.main() == 2
    assert "the budget must be between 1 and 80" in capsys.readouterr().err
