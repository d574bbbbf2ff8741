"""Every recipe loads, passes the start-up checks, survives a round trip to JSON, and states its expected PSNR."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from srtrain import plugins
from srtrain.build.check import check_names
from srtrain.recipe import Recipe
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import parse_value
from srtrain.recipe.record import from_json, to_json

FOLDER = Path(__file__).resolve().parents[2] / "recipes"
RECIPES = sorted(FOLDER.glob("[!_]*.py"))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
class TestRecipe:
    def test_it_can_be_started(self, file: Path) -> None:
        recipe = load_recipe(file)
        for name in recipe.plugins:
            plugins.activate(name)
        check_names(recipe)

    def test_its_run_folder_has_its_name(self, file: Path) -> None:
        assert load_recipe(file).name == file.stem

    def test_it_survives_being_written_down(self, file: Path) -> None:
        recipe = load_recipe(file)
        assert from_json(to_json(recipe)) == recipe

    def test_it_says_how_to_run_it_and_what_to_expect(self, file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        docstring = text.split('"""')[1]
        assert re.search(
            rf"^Run: +python tools/run\.py recipes/{re.escape(file.name)}\b", docstring, re.MULTILINE
        )
        expected = re.search(r"Expected:.*?(\d\d\.\d+ dB).*?(\w+_\w+)\)", docstring, re.DOTALL)
        assert expected, "no expected PSNR with its protocol"
        protocols = {b.protocol for b in load_recipe(file).benchmarks.values() if b is not None}
        assert expected[2] in protocols


def edsr(name: str) -> Recipe:
    return load_recipe(FOLDER / f"{name}.py")


BASELINE = {"n_resblocks": 16, "n_feats": 64}
FULL = {"n_resblocks": 32, "n_feats": 256, "res_scale": 0.1}


@pytest.mark.parametrize(
    ("name", "scale", "model", "start", "psnr"),
    [
        ("edsr_baseline_x2", 2, BASELINE, "", 34.61),
        ("edsr_baseline_x3", 3, BASELINE, "runs/edsr_baseline_x2", 30.92),
        ("edsr_baseline_x4", 4, BASELINE, "runs/edsr_baseline_x2", 28.95),
        ("edsr_x2", 2, FULL, "", 35.03),
        ("edsr_x3_finetune", 3, FULL, "runs/edsr_x2", 31.26),
        ("edsr_x4_finetune", 4, FULL, "runs/edsr_x2", 29.25),
        ("edsr_x4_scratch", 4, FULL, "", 29.25),
    ],
)
def test_the_papers_rows_are_the_papers_numbers(
    name: str, scale: int, model: dict[str, float], start: str, psnr: float
) -> None:
    """Table 1 and section 4.2: both networks, 48 px of input at every scale, 1e-4 halved every 2e5."""
    recipe = edsr(name)
    assert (recipe.scale, recipe.model.args, recipe.init_from) == (scale, model, start)
    assert recipe.data.gt_patch_px == 48 * scale
    assert (recipe.data.batch_size, recipe.loss.name, recipe.optim.lr) == (16, "l1", 1e-4)
    assert recipe.optim.schedule == parse_value("Spec('halve_every', period=200_000)")
    benchmark = recipe.benchmarks["div2k_valid"]
    assert benchmark is not None
    assert (benchmark.protocol, benchmark.psnr, benchmark.in_training) == ("div2k_rgb", psnr, True)


@pytest.mark.parametrize(
    ("scale", "ensemble"),
    [
        (2, {"div2k_valid": 35.063, "set5": 38.275, "set14": 34.059, "b100": 32.393, "urban100": 32.970}),
        (3, {"div2k_valid": 31.380, "set5": 34.777, "set14": 30.684, "b100": 29.332, "urban100": 29.019}),
        (4, {"div2k_valid": 29.370, "set5": 32.618, "set14": 28.928, "b100": 27.792, "urban100": 26.849}),
    ],
)
def test_the_model_zoos_rows_expect_its_table(scale: int, ensemble: dict[str, float]) -> None:
    """Its README has only scores with the self-ensemble; those of the plain network are from the paper."""
    expected = {name: b for name, b in edsr(f"edsr_zoo_x{scale}").benchmarks.items() if b is not None}
    assert {name: b.ensemble_psnr for name, b in expected.items()} == ensemble
    assert [name for name, b in expected.items() if b.in_training] == ["div2k_valid"]
    plain = {name: b.psnr for name, b in edsr(PAPER[scale]).benchmarks.items() if b is not None}
    assert {name: b.psnr for name, b in expected.items()} == plain
    assert None not in plain.values()


PAPER = {2: "edsr_x2", 3: "edsr_x3_finetune", 4: "edsr_x4_finetune"}


def test_rows_with_a_plus_expect_the_self_ensemble_alone() -> None:
    scores = {
        name: (b.psnr, b.ensemble_psnr, b.ensemble_ssim)
        for recipe in ("edsr_plus_x2", "mdsr_plus")
        for name, b in edsr(recipe).benchmarks.items()
        if b is not None
    }
    assert scores["div2k_valid"] == (None, 35.12, None)
    assert scores["set5"] == (None, 38.20, 0.9606)
    assert scores["urban100_x4"] == (None, 26.86, 0.8082)


@pytest.mark.parametrize(
    ("name", "n_resblocks", "psnr"),
    [
        ("mdsr_baseline", 16, {2: 34.63, 3: 30.94, 4: 28.97}),
        ("mdsr", 80, {2: 34.96, 3: 31.25, 4: 29.26}),
        ("mdsr_plus", 80, dict.fromkeys((2, 3, 4))),
    ],
)
def test_the_rows_for_several_scales_have_a_benchmark_for_each(
    name: str, n_resblocks: int, psnr: dict[int, float | None]
) -> None:
    """Section 4.2: patches of 48 px at every scale."""
    recipe = edsr(name)
    assert recipe.model.args == {"n_resblocks": n_resblocks, "n_feats": 64, "scales": (2, 3, 4)}
    assert recipe.data.gt_patch_px // recipe.scale == 48
    watched = {key: b for key, b in recipe.benchmarks.items() if b is not None and b.in_training}
    found = {b.scale: (key, b.psnr) for key, b in watched.items()}
    assert found == {scale: (f"div2k_valid_x{scale}", expected) for scale, expected in psnr.items()}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("edsr_plus_x2", "edsr_x2"),
        ("edsr_plus_x3", "edsr_x3_finetune"),
        ("edsr_plus_x4", "edsr_x4_finetune"),
        ("mdsr_plus", "mdsr"),
    ],
)
def test_a_row_with_a_plus_is_the_plain_one_with_the_self_ensemble(name: str, plain: str) -> None:
    recipe, other = edsr(name), edsr(plain)
    assert (recipe.model, recipe.data, recipe.train, recipe.optim, recipe.init_from) == (
        *(other.model, other.data, other.train, other.optim, other.init_from),
    )
    evaluate = recipe.hooks["evaluate"]
    assert evaluate is not None
    assert evaluate.args["self_ensemble"] is True


@pytest.mark.parametrize(
    ("name", "scale", "start"),
    [
        ("edsr_zoo_x2", 2, ""),
        ("edsr_zoo_x3", 3, "runs/edsr_zoo_x2"),
        ("edsr_zoo_x4", 4, "runs/edsr_zoo_x2"),
        ("edsr_x2_ascend8", 2, ""),
    ],
)
def test_the_model_zoos_rows_are_its_configuration(name: str, scale: int, start: str) -> None:
    """The table of parameters in the model zoo's README, except for what it got wrong."""
    recipe = edsr(name)
    zoo = {**FULL, "zoo_normalisation": True}
    assert (recipe.scale, recipe.model.args, recipe.init_from) == (scale, zoo, start)
    assert (recipe.data.gt_patch_px, recipe.data.batch_size, recipe.optim.lr) == (192, 16, 1e-4)
    assert (recipe.train.epochs, recipe.train.steps_per_epoch) == (6000, 50)
    assert recipe.optim.schedule == parse_value("Spec('milestones', at=(4000ep,), gamma=0.5)")
    assert recipe.precision == parse_value("Spec('O3', loss_scale=1000.0)")
    assert (recipe.device.name, recipe.plugins, recipe.seed) == ("ascend", ("ascend",), 2021)
    hooks = recipe.hooks
    assert hooks["checkpoint"] == parse_value("Spec('checkpoint', every=100ep, keep=60)")
    assert hooks["evaluate"] == parse_value("Spec('evaluate', every=20ep)")
