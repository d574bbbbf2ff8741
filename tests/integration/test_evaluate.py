"""``srtrain evaluate`` and ``verify`` on the command line: tables, JSON, pictures, the plot, and errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from srtrain.cli.main import main
from srtrain.data.picture import read_rgb, write_png
from srtrain.metrics.protocol import PROTOCOLS
from srtrain.models.edsr import EDSR
from srtrain.trainer.checkpoint import CheckpointStore

ABOUT = {"model": "edsr", "model_args": {"n_resblocks": 1, "n_feats": 4}, "scale": 2}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    CheckpointStore(folder / "checkpoints", ABOUT).save(5, {"model": EDSR(2, 1, 4).parameters_dict()}, {})
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """Three pictures: two crops of a photograph, and noise, which scores worst."""
    root = tmp_path_factory.mktemp("data")
    (root / "HR").mkdir()
    chelsea = read_rgb(repo_root / "srtrain/data/pictures/chelsea.png")
    for i in range(2):
        write_png(root / "HR" / f"crop{i}.png", chelsea[100 : 149 + i, 100 + 50 * i : 160 + 50 * i])
    write_png(root / "HR" / "noise.png", np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8))
    return root


@pytest.fixture
def on(pictures: Path) -> list[str]:
    return ["--sets", f"folder={pictures}", "--lr-type", "on_the_fly"]


@pytest.mark.slow
def test_models_stand_side_by_side(
    run_folder: Path, on: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    to = tmp_path / "report"
    words = ["evaluate", str(run_folder), "bicubic", *on, "--method", "plain", "self-ensemble"]
    protocols = ["--protocol", "paper_y", "basicsr_rgb"]
    assert main([*words, *protocols, "--to", str(to), "--pictures", "--worst", "2", "--plot"]) == 0
    table = capsys.readouterr().out
    assert table.splitlines()[0].split() == (
        [
            "model",
            "set",
            "scale",
            "protocol",
            "method",
            "PSNR",
            "SSIM",
            "published",
            "difference",
            "gain",
            "s/picture",
        ]
    )
    assert table.count("\ntiny ") == table.count("\nbicubic ") == 4  # two protocols by two methods
    assert "protocol: paper_y (Y of BT.601, 2 px border, 8 bit), mean over pictures" in table
    assert (to / "table.txt").read_text() == table

    rows = json.loads((to / "results.json").read_text())["rows"]
    plain, on_rgb, ensemble = rows[0], rows[1], rows[2]
    assert (plain["method"], ensemble["method"]) == ("plain", "self-ensemble x8")
    assert (plain["protocol"], on_rgb["protocol"]) == ("paper_y", "basicsr_rgb")
    assert [p["name"] for p in plain["pictures"]] == ["crop0", "crop1", "noise"]
    assert plain["psnr"] == pytest.approx(np.mean([p["psnr"] for p in plain["pictures"]]))
    assert plain["cost"]["n_parameters"] == sum(int(p.size) for p in EDSR(2, 1, 4).trainable_params())

    folder = to / "tiny" / "folder_x2"
    for name, score in ((p["name"], p["psnr"]) for p in plain["pictures"]):
        sr, gt = read_rgb(folder / f"{name}_sr.png"), read_rgb(folder / f"{name}_gt.png")
        assert PROTOCOLS.build("paper_y").psnr(sr, gt, 2) == pytest.approx(
            score
        )  # the picture is what was scored
        assert (folder / f"{name}_error.png").is_file()
    worst = read_rgb(to / "tiny" / "folder_x2_worst.png")
    assert worst.shape[0] >= 2 * 50  # one row for each of the two, noise and crop1
    assert (to / "psnr_over_multi_adds.png").stat().st_size > 10_000


@pytest.mark.slow
def test_two_processes_score_each_picture_once_and_agree_to_the_last_bit(
    on: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Three pictures on two ranks: the shares are uneven, no picture is repeated, and there is one total."""
    words = ["evaluate", "bicubic", "--scale", "2", *on, "--to"]
    assert main([*words, str(tmp_path / "one")]) == 0
    launch = [sys.executable, "-m", "srtrain.cli", "launch", "-n", "2", "--log-dir", str(tmp_path / "logs")]
    subprocess.run([*launch, *words, str(tmp_path / "two")], check=True, timeout=300)
    rows = [json.loads((tmp_path / name / "results.json").read_text())["rows"][0] for name in ("one", "two")]
    for row in rows:
        for timed in (row, *row["pictures"]):
            timed.pop("seconds")
        row.pop("seconds_per_picture")
    assert rows[0] == rows[1]
    assert [p["name"] for p in rows[1]["pictures"]] == ["crop0", "crop1", "noise"]


def test_json_goes_to_the_console_on_request(
    run_folder: Path, on: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--model", str(run_folder), *on, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["environment"]["mindspore"]
    assert document["rows"][0]["engine"] == "mindspore"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there is nothing to evaluate: name a model"),
        (["bicubic"], "bicubic has no scale of its own: add --scale 2"),
        (["gone"], "'gone' does not exist. Give a run folder"),
        (
            ["bicubic", "--scale", "2", "--pictures"],
            "--pictures, --worst and --plot write files: add --to FOLDER.",
        ),
        (
            ["bicubic", "--scale", "2", "--protocol", "paper_x"],
            "no protocol named 'paper_x'. Did you mean 'paper_y'?",
        ),
    ],
)
def test_mistakes(words: list[str], message: str, on: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *words, *on]) == 2
    assert message in capsys.readouterr().err


def test_a_set_without_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "bicubic", "--scale", "2", "--sets", "set5"]) == 2
    assert (
        "the data set 'set5' needs its folder: add --root FOLDER or write set5=FOLDER"
        in capsys.readouterr().err
    )


def test_two_folders_of_any_name_are_a_set(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low = tmp_path / "low"
    assert main(["data", "bicubic", str(pictures / "HR"), "--to", str(low), "--scale", "2"]) == 0
    capsys.readouterr()
    words = ["evaluate", "bicubic", "--scale", "2", "--json", "--sets"]
    assert main([*words, f"pairs={pictures / 'HR'}{os.pathsep}{low}"]) == 0
    found = json.loads(capsys.readouterr().out)["rows"][0]
    assert main([*words, f"folder={pictures}", "--lr-type", "on_the_fly"]) == 0
    assert found["psnr"] == json.loads(capsys.readouterr().out)["rows"][0]["psnr"]
    assert main([*words, "pairs"]) == 2
    assert f"write pairs=GROUND_TRUTH{os.pathsep}LOW_RESOLUTION." in capsys.readouterr().err


def test_missing_low_resolution_names_the_option_of_evaluate(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "bicubic", "--scale", "2", "--sets", f"folder={pictures}"]) == 2
    assert "or set --lr-type on_the_fly to make them while reading" in capsys.readouterr().err


RECIPE = """
from srtrain.recipe import Benchmark, Recipe, Spec

def recipe():
    return Recipe(
        name="tiny", scale=2, model=Spec("edsr", n_resblocks=1, n_feats=4),
        benchmarks={{
            "crops": Benchmark(Spec("folder", root={root!r}, lr_type="on_the_fly"), psnr={psnr}, ssim={ssim})
        }},
    )
"""


@pytest.mark.slow
def test_verify_compares_with_what_the_recipe_expects(
    run_folder: Path, pictures: Path, on: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    main(["evaluate", str(run_folder), *on, "--json"])
    row = json.loads(capsys.readouterr().out)["rows"][0]
    recipe = tmp_path / "tiny.py"

    def verify(psnr: float, *more: str) -> int:
        recipe.write_text(RECIPE.format(root=str(pictures), psnr=psnr, ssim=row["ssim"]))
        return main(["verify", str(recipe), "--weights", str(run_folder), "train.steps=1", *more])

    assert verify(row["psnr"]) == 0
    assert capsys.readouterr().out.count(" as expected") == 2
    assert verify(row["psnr"] + 0.02) == 1
    out = capsys.readouterr().out
    assert "-0.0200" in out
    assert out.count("NOT as expected") == 1
    assert verify(row["psnr"] - 0.02) == 1  # a better score is not the expected one either
    assert verify(row["psnr"] + 0.02, "--tolerance-db", "0.05") == 0


@pytest.mark.slow
def test_verify_compares_each_method_with_its_own_score(
    run_folder: Path, pictures: Path, on: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    main(["evaluate", str(run_folder), *on, "--json", "--method", "self-ensemble"])
    row = json.loads(capsys.readouterr().out)["rows"][0]
    recipe = tmp_path / "tiny.py"
    recipe.write_text(RECIPE.format(root=str(pictures), psnr=None, ssim=None))
    words = ["verify", str(recipe), "--weights", str(run_folder), "train.steps=1"]
    expects = [f"benchmarks.crops.ensemble_{key}={row[key]}" for key in ("psnr", "ssim")]
    assert main([*words, "benchmarks.crops.in_training=False", *expects]) == 0  # verify scores it in any case
    out = capsys.readouterr().out
    assert [line.split()[:4] for line in out.splitlines()[1:3]] == [
        ["crops", "self-ensemble", "x8", "PSNR"],
        ["crops", "self-ensemble", "x8", "SSIM"],
    ]
    assert main([*words, *expects, "benchmarks.crops.psnr=20.0"]) == 1
    plain, *ensemble = capsys.readouterr().out.splitlines()[1:4]
    assert plain.split()[:3] == ["crops", "plain", "PSNR"]
    assert "NOT as expected" in plain
    assert all("NOT" not in line and "as expected" in line for line in ensemble)


def test_verify_says_how_to_leave_a_missing_set_out(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "tiny.py"
    recipe.write_text(RECIPE.format(root=str(tmp_path / "missing"), psnr=30, ssim=None))
    assert main(["verify", str(recipe), "--weights", str(run_folder), "train.steps=1"]) == 2
    assert "To leave this set out, add benchmarks.crops=None." in capsys.readouterr().err


def test_verify_refuses_other_networks(
    run_folder: Path, pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    recipe = tmp_path / "tiny.py"
    recipe.write_text(RECIPE.format(root=str(pictures), psnr=30, ssim=None))
    words = ["verify", str(recipe), "--weights", str(run_folder), "train.steps=1"]
    assert main([*words, "model.n_feats=8"]) == 2
    assert "are of edsr x2 (edsr, n_resblocks=1, n_feats=4), and this network is" in capsys.readouterr().err
    assert main([*words, "scale=3"]) == 2
    assert (
        "not those of this recipe's network: upsampler.0.weight is missing from the file"
        in capsys.readouterr().err
    )
    assert main([*words, "benchmarks.crops.psnr=None"]) == 2
    assert "expects no score. Give a set one, such as benchmarks.crops.psnr=" in capsys.readouterr().err
    assert main([*words, "benchmarks.crops=None"]) == 2
    assert "Add a set first: benchmarks.set5=set5." in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.shared_data
def test_bicubic_scores_what_was_measured(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "bicubic", "--scale", "2", "3", "4", "--sets", "set5", "set14"]
    assert main([*words, "--root", str(shared_data), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    scores = {(r["set"], r["scale"]): r["psnr"] for r in rows}
    assert [scores["set5", n] for n in (2, 3, 4)] == pytest.approx([33.673, 30.403, 28.429], abs=6e-4)
    assert [scores["set14", n] for n in (2, 3, 4)] == pytest.approx([30.325, 27.631, 26.088], abs=6e-4)
    assert [r["published"]["psnr"] for r in rows[::2]] == [33.66, 30.39, 28.42]


@pytest.mark.shared_data
@pytest.mark.slow
def test_others_weights_score_what_others_measured(shared_data: Path, repo_root: Path) -> None:
    weights = next((shared_data / "weights" / "EDSR_f64b5_x2").glob("*.pt"))
    recipe = repo_root / "recipes" / "edsr_f64b5_x2.py"
    assert main(["verify", str(recipe), "--weights", str(weights), f"data.root={shared_data}"]) == 0


@pytest.mark.shared_data
@pytest.mark.slow
def test_a_fine_tune_beats_a_start_from_scratch(shared_data: Path, repo_root: Path, tmp_path: Path) -> None:
    """x4 from the given x2 weights, and from random ones: same pictures, same number of updates."""
    weights = next((shared_data / "weights" / "EDSR_f64b5_x2").glob("*.safetensors"))
    small = ("model.n_resblocks=5", "model.n_feats=64", "data.gt_patch_px=64", "data.batch_size=4")
    short = ("optim.lr=2e-4", "train.steps=12", "hooks.require_learning=None", "hooks.self_ensemble=None")
    psnr = {}
    for name, start in (("scratch", ""), ("finetune", str(weights))):
        recipe = ("run", str(repo_root / "recipes" / "edsr_f64b5_x2.py"), "--smoke", "scale=4")
        assert main([*recipe, *small, *short, f"init_from={start}", f"run_dir={tmp_path / name}"]) == 0
        rows = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        psnr[name] = [row["psnr"] for row in rows if "psnr" in row][-1]
    assert psnr["finetune"] > psnr["scratch"] + 3
