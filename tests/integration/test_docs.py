"""The code in docs/ runs as it stands, and does what the text says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from srtrain.cli.main import main
from srtrain.data.picture import read_rgb, write_png
from srtrain.hooks import EVAL, FIRST, LAST, LOG, NORMAL, SAVE, STATE, TrainerApi
from srtrain.recipe import Spec
from srtrain.recipe.load import load_recipe
from srtrain.trainer.hook import POINTS
from srtrain.weights import tensor_file

# Enough of a run to see the effect, and no more.
TINY = [
    "model.n_feats=4",
    "train.steps=4",
    "train.log_every=2",
    "data.gt_patch_px=24",
    "data.batch_size=2",
]
QUICKSTART = ["model.n_resblocks=1", "hooks.require_gain=None"]
BY_LINE = "train.mode=pynative"  # compiles nothing; for hooks, which are never compiled


@pytest.fixture(autouse=True)
def _mode_of_other_tests():
    before = ms.get_context("mode")
    yield
    ms.set_context(mode=before)


class Page:
    """A page of docs/: its files, written to a folder, and its commands."""

    def __init__(self, file: Path, folder: Path) -> None:
        text = file.read_text(encoding="utf-8")
        self.folder = folder
        self.files = dict(re.findall(r"^```python title=(\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
        blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        self.commands = [shlex.split(line) for block in blocks for line in block.splitlines()]
        assert len(self.files) + len(blocks) == len(re.findall(r"^```\w", text, re.MULTILINE))
        for name, code in self.files.items():
            (folder / name).write_text(code, encoding="utf-8")

    def command(self, *words: str) -> list[str]:
        """Return the only command of the page that contains these words, without the program's name."""
        (found,) = [c for c in self.commands if all(any(w in part for part in c) for w in words)]
        assert found[0] == "srtrain"
        return found[1:]

    def run(self, name: str, command: list[str], *overrides: str) -> str:
        """Run a command of the page as a tiny run in its own folder; return its log."""
        assert main([*command, *TINY, f"run_dir={self.folder / name}", *overrides]) == 0
        return (self.folder / name / "run.log").read_text(encoding="utf-8")


@pytest.fixture
def page(repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Open a page as a reader would: its files are in the working folder, with the recipes beside them."""

    def open_page(name: str) -> Page:
        (tmp_path / "recipes").symlink_to(repo_root / "recipes")
        monkeypatch.chdir(tmp_path)
        return Page(repo_root / "docs" / name, tmp_path)

    return open_page


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_the_first_hook_runs_from_the_command_line_and_from_a_recipe(page, capsys):
    docs = page("custom_hook.md")
    command = docs.command("loss_peak.py", "hooks.peak.factor")
    log = docs.run("line", command, *QUICKSTART, BY_LINE)
    losses = [line["loss"] for line in metrics(docs.folder / "line") if "loss" in line]
    assert f"highest loss of 4 updates: {max(losses):.3f}" in log
    assert f"loss_peak {max(losses):g}" in log
    assert [m["loss_peak"] for m in metrics(docs.folder / "line") if "loss" in m] == [losses[0], max(losses)]
    assert load_recipe(docs.folder / "line").hooks["peak"] == Spec("loss_peak", factor=3.0)

    log = docs.run("recipe", ["run", "with_hook.py"], "model.n_resblocks=1", BY_LINE)
    assert "highest loss of 4 updates" in log

    capsys.readouterr()
    assert main(docs.command("--print-hooks")) == 0
    plan = capsys.readouterr().out
    after_step = plan.split("after_step(trainer, out)")[1].split("├──")[0]
    order = [after_step.index(name) for name in ("CheckpointHook", "EvaluateHook", "LossPeak", "ConsoleHook")]
    assert order == sorted(order)


@pytest.mark.slow
def test_the_stateful_hook_goes_on_where_it_was_after_a_resume(page):
    docs = page("custom_hook.md")
    command = docs.command("smooth_loss.py")
    words = [*QUICKSTART, "optim.schedule=constant", "hooks.evaluate=None", BY_LINE]
    docs.run("whole", command, *words, "train.steps=8")
    docs.run("parts", command, *words, "train.steps=4")
    docs.run("parts", command, "--resume", *words, "train.steps=8")
    whole, parts = (
        [m["smooth_loss"] for m in metrics(docs.folder / name) if "loss" in m] for name in ("whole", "parts")
    )
    assert whole == parts
    losses = [m["loss"] for m in metrics(docs.folder / "whole") if "loss" in m]
    smooth = losses[0]
    for loss in losses[1:]:
        smooth = 0.9 * smooth + 0.1 * loss
    assert len(losses) == 4
    assert whole[-1] == pytest.approx(smooth)


def test_the_points_of_the_page_are_those_of_the_code(repo_root):
    text = (repo_root / "docs" / "custom_hook.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| `\((.*?)\)` \|$", text, re.MULTILINE)
    assert {name: tuple(parameters.split(", ")) for name, parameters in rows} == POINTS
    orders = {
        name: int(value) for name, value in re.findall(r"^\| `([A-Z]+)` = (\d+) \|", text, re.MULTILINE)
    }
    assert orders == {
        "FIRST": FIRST, "STATE": STATE, "SAVE": SAVE, "EVAL": EVAL, "NORMAL": NORMAL, "LOG": LOG, "LAST": LAST,
    }  # fmt: skip


def test_the_surface_of_the_page_is_that_of_the_code(repo_root):
    text = (repo_root / "docs" / "custom_hook.md").read_text(encoding="utf-8")
    table = text.split("## What a hook may use")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    listed = [name for cell in cells for name in re.findall(r"`(\w+)", cell)]
    assert sorted(listed) == sorted(name for name in vars(TrainerApi) if not name.startswith("_"))


def parameters_in(folder: Path) -> dict[str, tuple[int, ...]]:
    file = next(folder.glob("checkpoints/step_*/model.ckpt"))
    return {name: tuple(p.shape) for name, p in ms.load_checkpoint(str(file)).items()}


@pytest.mark.slow
def test_a_block_of_a_file_is_the_one_that_is_trained(page):
    docs = page("new_model.md")
    docs.run("block", docs.command("model.block=attentive"), *QUICKSTART)
    shapes = parameters_in(docs.folder / "block")
    assert shapes["body.0.squeeze.weight"] == (1, 4, 1, 1)
    assert shapes["body.0.excite.weight"] == (4, 1, 1, 1)


@pytest.mark.slow
def test_a_model_of_a_file_is_trained_and_starts_another_scale(page):
    docs = page("new_model.md")
    command = docs.command("model=tiny_sr")
    docs.run("x2", command, "hooks.require_gain=None")
    shapes = parameters_in(docs.folder / "x2")
    assert shapes["tail.weight"] == (12, 4, 3, 3)
    assert shapes["body.2.weight"] == (4, 4, 3, 3)
    log = docs.run("x3", ["run", "tiny_x3.py"], f"init_from={docs.folder / 'x2'}")
    assert "8 loaded" in log
    assert "skipped: tail.weight, tail.bias" in log
    assert "left as initialised: tail.weight, tail.bias" in log
    assert parameters_in(docs.folder / "x3")["tail.weight"] == (27, 4, 3, 3)


@pytest.mark.slow
def test_weights_of_pytorch_are_read_as_the_page_says(page, capsys):
    """The weights repeat every pixel, in PyTorch's order of channels and for values in [0, 1]."""
    docs = page("new_model.md")
    shapes = {"feature_maps.0": (8, 3, 5, 5), "feature_maps.2": (8, 8, 3, 3), "sub_pixel.0": (12, 8, 3, 3)}
    tensors = {f"{name}.weight": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    tensors |= {f"{name}.bias": np.zeros(shape[0], np.float32) for name, shape in shapes.items()}
    for colour in range(3):
        tensors["feature_maps.0.weight"][colour, colour, 2, 2] = 1
        tensors["feature_maps.2.weight"][colour, colour, 1, 1] = 1
        tensors["sub_pixel.0.weight"][4 * colour : 4 * colour + 4, colour, 1, 1] = 1
    tensor_file.write(Path("espcn.pth"), {f"module.{name}": tensor for name, tensor in tensors.items()}, {})
    photo = np.random.default_rng(4).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    write_png(Path("photo.png"), photo)
    commands = [command[1:] for command in docs.commands if "my_espcn.py" in command]
    for command in commands[:-1]:
        assert main(command) == 0
    printed = capsys.readouterr().out
    assert "espcn x2" in printed
    assert "range      0-1" in printed
    np.testing.assert_array_equal(read_rgb(Path("photo_x2.png")), photo.repeat(2, 0).repeat(2, 1))
    log = docs.run("espcn", commands[-1], "model.n_feats=8", "hooks.require_gain=None")
    assert "6 loaded" in log
