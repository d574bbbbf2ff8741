"""``srtrain doctor --dry-run`` on a machine without CANN."""

from __future__ import annotations

from pathlib import Path

import pytest

from srtrain.cli.main import main
from srtrain.errors import UserError
from srtrain.jobs.diagnose.doctor import cann_version
from srtrain.jobs.diagnose.dry_run import changes
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import override


@pytest.mark.skipif(bool(cann_version()), reason="CANN is installed here")
def test_a_dry_run_without_cann_says_what_is_missing(
    repo_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = str(repo_root / "recipes" / "edsr_x2.py")
    assert main(["doctor", "--dry-run", recipe]) == 1
    shown = capsys.readouterr()
    assert "install the CANN toolkit (" in shown.out
    assert (
        f"{recipe} was not compiled: MindSpore's simulation (MS_SIMULATION_LEVEL) needs no card" in shown.err
    )
    assert main(["doctor", "--dry-run", "no_such.py"]) == UserError.exit_code


@pytest.mark.parametrize("name", ["edsr_x2", "edsr_zoo_x3", "esr_x2_full", "quickstart"])
def test_a_dry_run_needs_no_data(name: str, repo_root: Path) -> None:
    recipe = load_recipe(str(repo_root / "recipes" / f"{name}.py"))
    changed = override(recipe, changes(recipe))
    assert (changed.train.steps, changed.train.epochs, changed.device.name) == (2, None, "ascend")
    assert changed.data.train.name == "embedded"
    assert not any(changed.benchmarks.values())
    assert not {spec.name for spec in changed.hooks.values() if spec} & {"evaluate", "self_ensemble_evaluate"}
