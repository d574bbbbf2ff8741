"""Every recipe loads, passes the checks of a start, survives being written down, and says what to expect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from srtrain import build, config

FOLDER = Path(__file__).resolve().parents[2] / "recipes"
RECIPES = sorted(FOLDER.glob("[!_]*.py"))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
class TestRecipe:
    def test_it_can_be_started(self, file: Path) -> None:
        build.check(config.load(file))

    def test_its_run_folder_has_its_name(self, file: Path) -> None:
        assert config.load(file).name == file.stem

    def test_it_survives_being_written_down(self, file: Path) -> None:
        recipe = config.load(file)
        assert config.from_json(config.to_json(recipe)) == recipe

    def test_it_says_how_to_run_it_and_what_to_expect(self, file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        docstring = text.split('"""')[1]
        assert re.search(
            rf"^Run: +python tools/run\.py recipes/{re.escape(file.name)}\b", docstring, re.MULTILINE
        )
        expected = re.search(r"Expected:.*?(\d\d\.\d+ dB).*?(\w+_\w+)\)", docstring, re.DOTALL)
        assert expected, "no expected PSNR with its protocol"
        protocols = {b.protocol for b in config.load(file).benchmarks.values() if b is not None}
        assert expected[2] in protocols


def test_the_papers_rows_are_the_papers_numbers() -> None:
    """Table 1 and section 4.2: both networks, 48 px of input at every scale, 1e-4 halved every 2e5."""
    x2, x3 = (config.load(FOLDER / f"{name}.py") for name in ("edsr_x2", "edsr_x3_finetune"))
    for recipe in (x2, x3):
        assert recipe.model.args == {"n_resblocks": 32, "n_feats": 256, "res_scale": 0.1}
        assert recipe.data.gt_patch_px == 48 * recipe.scale
        assert (recipe.data.batch_size, recipe.loss.name, recipe.optim.lr) == (16, "l1", 1e-4)
        assert recipe.optim.schedule == config.parse_value("Spec('halve_every', period=200_000)")
    assert (x2.scale, x3.scale) == (2, 3)
