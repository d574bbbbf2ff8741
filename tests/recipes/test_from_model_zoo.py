"""docs/from_model_zoo.md answers every key of the model zoo, and what it says works here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from srtrain import plugins
from srtrain.build.check import check_names
from srtrain.cli.main import parse
from srtrain.recipe.load import load_recipe
from srtrain.recipe.override import override

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "from_model_zoo.md").read_text(encoding="utf-8")
KEYS = re.findall(
    r"\w+",
    """
    enable_modelarts data_url train_url checkpoint_url data_path output_path device_target amp_level
    loss_scale keep_checkpoint_max save_epoch_frq ckpt_save_dir epoch_size eval_epoch_frq self_ensemble
    save_sr opt_type weight_decay learning_rate milestones gamma dataset_name lr_type batch_size
    patch_size scale dataset_sink_mode need_unzip_in_modelarts need_unzip_files pre_trained rgb_range
    rgb_mean rgb_std n_colors n_feats kernel_size n_resblocks res_scale
    """,
)
SCRIPTS = re.findall(
    r"[\w.]+",
    """
    train.py eval.py eval_onnx.py export.py preprocess.py postprocess.py run_train.sh run_eval.sh
    run_infer_310.sh run_eval_onnx.sh ascend310_infer DIV2K_config.yaml benchmark_config.yaml dataset.py
    edsr.py config.py metric.py utils.py model_utils hccl_tools
    """,
)


def rows(section: str) -> list[list[str]]:
    """Return the rows of a section's table without its head."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_no_row_is_empty() -> None:
    sections = {"Features": 2, "Files": 2, "Commands": 2, "Parameters": 3}
    for section, n_cells in sections.items():
        assert rows(section)
        assert all(len(row) == n_cells and all(row) for row in rows(section)), section


def test_every_key_and_script_of_the_model_zoo_has_a_row() -> None:
    named = {key for row in rows("Parameters") for key in re.findall(r"`(\w+)`", row[0])}
    assert set(KEYS) - named == set()
    files = " ".join(row[0] for section in ("Files", "Commands") for row in rows(section))
    assert [script for script in SCRIPTS if script not in files] == []


@pytest.mark.parametrize("row", rows("Parameters"), ids=lambda row: row[0].replace("`", ""))
def test_what_replaces_a_key_is_accepted(row: list[str]) -> None:
    words = [word for code in re.findall(r"`([^`]*)`", row[2]) for word in assignments(code)]
    if "hooks.modelarts." in row[2]:
        values = {"enable_modelarts": "True", "need_unzip_in_modelarts": "True", "need_unzip_files": "()"}
        names = re.findall(r"`(\w+)`", row[0])
        words = [f"hooks.modelarts.{name}={values.get(name, '')}" for name in names]
        words = ["hooks.modelarts=modelarts", *words]
    assert words or "srtrain evaluate" in row[2]
    for name in ("ascend", "modelarts"):
        plugins.activate(name)
    check_names(override(load_recipe(ROOT / "recipes" / "edsr_zoo_x2.py"), words))


def assignments(code: str) -> list[str]:
    """Return the ``key=value`` words of a piece of code that is no command."""
    return [] if code.startswith(("srtrain", "--")) else re.findall(r"[a-z][\w.]*=(?:\([^)]*\)|\S+)", code)


FOUND = re.findall(r"`(srtrain [^`]*)`|^    (srtrain .*)$", PAGE, re.MULTILINE)
COMMANDS = sorted({command for pair in FOUND for command in pair if len(command.split()) > 2})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_is_understood(command: str) -> None:
    args = parse(command.split(" > ")[0].split()[1:])
    assert args.run
    recipe = getattr(args, "recipe", "")
    if str(recipe).startswith("recipes/"):
        assert (ROOT / recipe).is_file()


def test_the_links_of_the_page_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[\w-]+)?\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
