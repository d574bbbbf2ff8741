"""What a user reads after a mistake: one message, exit code 2, no traceback."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from srtrain.cli.main import main

Fails = Callable[..., str]


@pytest.fixture
def fails(repo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fails:
    """Run the quickstart with arguments that must fail; return the error message."""

    def run(*arguments: str, code: int = 2, recipe: str = "") -> str:
        path = recipe or str(repo_root / "recipes" / "quickstart.py")
        assert main(["run", path, f"run_dir={tmp_path / 'run'}", *arguments]) == code
        message = capsys.readouterr().err
        assert "Traceback" not in message
        assert message.count("error: ") == 1
        return message

    return run


@pytest.fixture
def broken(tiny_div2k: Path, tmp_path: Path) -> Path:
    """A copy of the folder laid out like DIV2K, for a test to damage."""
    return Path(shutil.copytree(tiny_div2k, tmp_path / "div2k"))


def on(root: Path) -> tuple[str, ...]:
    """Return the overrides that train on the four pictures of a folder laid out like DIV2K."""
    return (
        f"data.root={root}",
        "data.train=div2k",
        "data.train.last=4",
        "data.gt_patch_px=32",
        "model.n_feats=4",
        "model.n_resblocks=1",
        "train.steps=1",
        "hooks.evaluate=None",
        "hooks.require_gain=None",
    )


def test_misspelt_key(fails: Fails) -> None:
    assert "unknown key 'optim.lrr'. Did you mean 'lr'? Known here: clip_norm, lr" in fails("optim.lrr=1")


def test_wrong_type(fails: Fails) -> None:
    assert "optim.lr = 'fast' is a str, but must be float." in fails("optim.lr=fast")


def test_wrong_type_of_an_argument(fails: Fails) -> None:
    message = fails("model.n_feats=many", "hooks.checkpoint.every=0.5")
    assert "model.n_feats = 'many' is a str, but must be int." in message
    assert "hooks.checkpoint.every = 0.5 is a float, but must be int." in message


@pytest.mark.parametrize(
    ("override", "kind", "suggestion"),
    [
        ("model=edrs", "model", "edsr"),
        ("loss=l2_1", "loss", "l1"),
        ("optim.schedule=cosin", "learning-rate schedule", "cosine"),
        ("optim.optimizer=adamm", "optimizer", "adam"),
        ("hooks.tb=tensorbord", "hook", "tensorboard"),
        ("device=cpuu", "backend", "cpu"),
        ("precision=float23", "precision", "float32"),
        ("data.train=embeded", "data set", "embedded"),
        ("benchmarks.chelsea.protocol=paper-y", "protocol", "paper_y"),
    ],
)
def test_misspelt_name(fails: Fails, override: str, kind: str, suggestion: str) -> None:
    message = fails(override)
    assert f"there is no {kind} named {override.split('=')[1]!r}. Did you mean {suggestion!r}?" in message


def test_misspelt_argument(fails: Fails) -> None:
    assert "takes no argument 'n_feat'. Did you mean 'n_feats'?" in fails("model.n_feat=8")


def test_misspelt_plugin(fails: Fails) -> None:
    assert "there is no plugin 'ascned'. Did you mean 'ascend'?" in fails("--plugin", "ascned")


def test_missing_recipe(fails: Fails, repo_root: Path) -> None:
    assert "Did you mean 'quickstart.py'?" in fails(recipe=str(repo_root / "recipes" / "quickstrat.py"))


def test_all_mistakes_at_once(fails: Fails) -> None:
    message = fails("optim.lrr=1", "train.stpes=2", "nothing")
    assert all(words in message for words in ("optim.lrr", "train.stpes", "'nothing' is no override"))


def test_both_or_neither_length(fails: Fails) -> None:
    assert "train.steps=600 and train.epochs=2" in fails("train.epochs=2")
    assert "train.steps=None and train.epochs=None" in fails("train.steps=None")


def test_data_root_not_given(fails: Fails) -> None:
    assert "data.train = 'div2k_train' needs the folder of the data: add data.root=FOLDER" in fails(
        "data.train=div2k_train"
    )


def test_missing_folder(fails: Fails, tmp_path: Path) -> None:
    message = fails(*on(tmp_path / "nowhere"))
    assert str(tmp_path / "nowhere") in message


def test_unmatched_pairs(fails: Fails, broken: Path) -> None:
    (broken / "DIV2K_train_LR_bicubic" / "X2" / "0003x2.png").unlink()
    message = fails(*on(broken))
    assert all(words in message for words in ("train", "DIV2K_train_HR", "DIV2K_train_LR_bicubic", "0003"))


def test_gt_that_is_not_lq_times_scale(fails: Fails, broken: Path) -> None:
    _write(broken / "DIV2K_train_LR_bicubic" / "X2" / "0002x2.png", np.zeros((30, 36, 3), np.uint8))
    message = fails(*on(broken))
    assert "0002" in message
    assert "72×72" in message
    assert "36×36" in message
    assert "36×30" in message


def test_patch_larger_than_a_picture(fails: Fails, tiny_div2k: Path) -> None:
    message = fails(*on(tiny_div2k), "data.gt_patch_px=96")
    assert "a patch of 96 px is larger than 4 of 4 pictures: '0001' is 72×72" in message


def test_patch_that_the_scale_does_not_divide(fails: Fails) -> None:
    assert "data.gt_patch_px = 47 is not a multiple of scale = 2" in fails("data.gt_patch_px=47")


def test_truncated_png(fails: Fails, broken: Path) -> None:
    file = broken / "DIV2K_train_HR" / "0002.png"
    file.write_bytes(file.read_bytes()[:-200])
    message = fails(*on(broken))
    assert str(file) in message
    assert "truncated" in message


def test_a_text_file_called_png(fails: Fails, broken: Path) -> None:
    file = broken / "DIV2K_train_HR" / "0002.png"
    file.write_text("not a picture")
    assert str(file) in fails(*on(broken))


def test_empty_folder(fails: Fails, broken: Path) -> None:
    for file in (broken / "DIV2K_train_HR").iterdir():
        file.unlink()
    message = fails(*on(broken))
    assert str(broken / "DIV2K_train_HR") in message


def test_checkpoint_that_does_not_fit(fails: Fails, tiny_div2k: Path, tmp_path: Path) -> None:
    assert main(["run", *_recipe(fails, tmp_path, tiny_div2k)]) == 0
    message = fails(*on(tiny_div2k), "model.n_feats=8", f"init_from={tmp_path / 'first'}", "--overwrite")
    assert "are of edsr x2 (edsr, n_resblocks=1, n_feats=4), and this network is edsr x2" in message
    assert "head.weight is (4, 3, 3, 3) instead of (8, 3, 3, 3)" in message


def _recipe(fails: Fails, tmp_path: Path, root: Path) -> list[str]:
    quickstart = Path(__file__).resolve().parents[2] / "recipes" / "quickstart.py"
    return [str(quickstart), *on(root), f"run_dir={tmp_path / 'first'}"]


def test_init_from_nothing(fails: Fails, tmp_path: Path) -> None:
    message = fails(f"init_from={tmp_path / 'nothing'}")
    assert f"{str(tmp_path / 'nothing')!r} does not exist" in message


def test_run_folder_in_use(repo_root: Path, fails: Fails, tmp_path: Path) -> None:
    hold = (
        "import sys, pathlib; from srtrain.trainer.run_folder import RunFolder\n"
        "held = RunFolder(pathlib.Path(sys.argv[1]))\n"
        "held.open(resume=False, overwrite=False)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        message = fails("--resume")
        assert f"is in use by process {holder.pid} on " in message
        holder.communicate()


def test_run_folder_that_is_a_file(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    assert "the run folder" in fails()


def test_resume_from_nothing(fails: Fails, tmp_path: Path) -> None:
    assert "there is no checkpoint" in fails("--resume", str(tmp_path / "nothing"))


@pytest.mark.slow
def test_unlearned_quickstart_is_a_failure(fails: Fails) -> None:
    message = fails("train.steps=2", "model.n_feats=4", "model.n_resblocks=1", code=1)
    assert "bicubic, but must be at least 0.50 dB above it" in message
    assert "while running RequireGainHook.after_train at step 2" in message


def test_debug_shows_the_traceback(repo_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(repo_root / "recipes" / "quickstart.py"), "model=edrs", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def _write(file: Path, rgb: np.ndarray) -> None:
    assert cv2.imwrite(str(file), rgb)
