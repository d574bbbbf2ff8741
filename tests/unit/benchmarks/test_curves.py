"""benchmarks/curves.py: the runs it accepts, what it reads from them, its verdict, and its training in PyTorch."""

from __future__ import annotations

import dataclasses
import json
import os
import sys

import numpy as np
import pytest

from srtrain.data.picture import read_rgb
from srtrain.errors import RecipeError, RunFolderError
from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train
from srtrain.recipe.record import to_json

RECIPE = Recipe(
    name="tiny",
    scale=2,
    model=Spec("edsr", n_resblocks=1, n_feats=4),
    data=Data(train=Spec("embedded"), gt_patch_px=24, batch_size=2),
    train=Train(steps=4, threads=1),  # more would wait for each other on a busy machine
    benchmarks={"chelsea": Benchmark(Spec("embedded", names=("chelsea",)))},
)


@pytest.fixture
def curves(repo_root):
    import curves

    assert curves.__file__ == str(repo_root / "benchmarks" / "curves.py")
    return curves


def evaluation(step, psnr, benchmark="chelsea", method="plain"):
    return {
        "step": step,
        "benchmark": benchmark,
        "method": method,
        "protocol": "paper_y (Y of BT.601, 2 px border, 8 bit)",
        "psnr": psnr,
        "ssim": 0.9,
        "bicubic_psnr": 30.0,
    }


def write_run(folder, recipe, records):
    folder.mkdir()
    (folder / "recipe.json").write_text(to_json(recipe))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


@pytest.fixture
def four(tmp_path):
    """Make the folders of two runs and of their repetitions in PyTorch, with the given final PSNRs."""

    def make(ours, theirs):
        runs = []
        for seed, (a, b) in enumerate(zip(ours, theirs, strict=True), start=1):
            recipe = dataclasses.replace(RECIPE, seed=seed, run_dir=str(tmp_path / f"seed{seed}"))
            for folder, end in ((f"seed{seed}", a), (f"seed{seed}_pytorch", b)):
                records = [{"step": 2, "loss": 9.0}, evaluation(2, end - 1), evaluation(4, end)]
                folder = write_run(tmp_path / folder, recipe, records)
            runs.append(tmp_path / f"seed{seed}")
        return runs

    return make


class TestCurve:
    def test_one_benchmark_without_self_ensemble_is_picked(self, curves):
        records = [
            {"step": 1, "loss": 3.0},
            evaluation(2, 31.0),
            evaluation(2, 28.0, benchmark="other"),
            evaluation(2, 31.2, method="self-ensemble x8"),
            evaluation(4, 32.0),
        ]
        found = curves.curve(records, "chelsea")
        assert (found.steps, found.psnr, found.bicubic_psnr) == ([2, 4], [31.0, 32.0], 30.0)

    def test_a_benchmark_that_was_not_evaluated_is_refused(self, curves):
        with pytest.raises(RecipeError, match=r"no benchmark 'set5' .* They evaluated: chelsea\."):
            curves.curve([evaluation(2, 31.0)], "set5")


class TestRefused:
    def test_a_run_that_has_not_ended(self, curves, tmp_path):
        run = write_run(tmp_path / "run", RECIPE, [evaluation(2, 31.0), {"step": 4, "loss": 1.0}])
        with pytest.raises(RunFolderError, match=r"is of step 2, .* train\.steps = 4.*--resume"):
            curves.finished(run, RECIPE)

    def test_runs_that_differ_in_more_than_the_seed(self, curves):
        other = dataclasses.replace(RECIPE, seed=2, data=dataclasses.replace(RECIPE.data, batch_size=4))
        with pytest.raises(
            RecipeError, match=r"differ in data\.batch_size\. Give runs that differ only in their seed"
        ):
            curves.refuse_unequal([RECIPE, other])

    def test_a_seed_that_is_there_twice(self, curves):
        with pytest.raises(RecipeError, match=r"have the seeds \[2021, 2021\]"):
            curves.refuse_unequal([RECIPE, dataclasses.replace(RECIPE, run_dir="elsewhere")])

    @pytest.mark.parametrize(
        ("key", "change"),
        [
            ("loss", {"loss": Spec("mse")}),
            ("model", {"model": Spec("edsr", block="mine")}),
            ("init", {"init": Spec("truncated_normal")}),
            ("optim.skip_above", {"optim": Optim(skip_above=3.0)}),
            ("data.degrade", {"data": dataclasses.replace(RECIPE.data, degrade=(Spec("noise", sigma=2.0),))}),
        ],
    )
    def test_what_pytorch_would_train_otherwise(self, curves, key, change):
        curves.refuse_what_is_not_repeated(RECIPE)
        with pytest.raises(
            RecipeError, match=rf"the recipe 'tiny' sets {key}, which this benchmark does not support"
        ):
            curves.refuse_what_is_not_repeated(dataclasses.replace(RECIPE, **change))


class TestJudgement:
    @pytest.mark.parametrize(
        ("theirs", "code"), [((34.04, 34.04), 0), ((34.06, 34.06), 1), ((33.8, 33.8), 1)]
    )
    def test_the_exit_code_says_whether_the_means_agree(self, curves, four, theirs, code, capsys):
        assert curves.compare(four((33.9, 34.1), theirs), "chelsea", None, tolerance=0.05) == code
        assert ("BEYOND" in capsys.readouterr().out) == bool(code)

    def test_the_last_line_is_json_of_the_ends(self, curves, four, capsys):
        curves.compare(four((33.9, 34.1), (33.9, 34.0)), "chelsea", None, tolerance=0.05)
        result = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert result["mindspore_db"] == [33.9, 34.1]
        assert result["pytorch_db"] == [33.9, 34.0]
        assert result["difference_db"] == pytest.approx(0.05)
        assert result["ratio_of_gains"] == pytest.approx(4.0 / 3.95, abs=1e-4)

    def test_a_mistake_is_one_line_and_exit_code_2(self, curves, four, monkeypatch, capsys):
        runs = [str(run) for run in four((33.9,), (33.9,))]
        monkeypatch.setattr(sys, "argv", ["curves.py", *runs, "--benchmark", "set5"])
        assert curves.main() == 2
        assert capsys.readouterr().err.startswith("error: there is no benchmark 'set5'")

    def test_a_plot_is_a_picture_with_both_colours(self, curves, four, tmp_path):
        colors = pytest.importorskip("matplotlib.colors", reason="the extra 'bench' is not installed")
        file = tmp_path / "plot.png"
        curves.compare(four((33.9, 34.1), (33.9, 34.0)), "chelsea", file, tolerance=0.05)
        picture = read_rgb(file)
        for name in curves.COLOURS.values():
            colour = np.round(255 * np.array(colors.to_rgb(name)))
            assert (picture == colour).all(axis=2).sum() > 100, name


class TestPyTorch:
    @pytest.fixture(autouse=True)
    def _torch(self):
        pytest.importorskip("torch", reason="the extra 'bench' (PyTorch) is not installed")

    def test_it_learns_from_the_recipe_and_is_scored_as_asked(self, curves):
        longer = dataclasses.replace(
            RECIPE, train=Train(steps=40, threads=1), optim=dataclasses.replace(RECIPE.optim, lr=5e-3)
        )
        records = list(curves.train(longer, {20, 40}))
        assert [(r["step"], "psnr" in r) for r in records] == [
            (20, False),
            (20, True),
            (40, False),
            (40, True),
        ]
        assert records[2]["loss"] < 0.8 * records[0]["loss"]
        assert records[3]["psnr"] > records[1]["psnr"]
        assert "ONEDNN_MAX_CPU_ISA" not in os.environ  # what holds MindSpore's oneDNN would hold PyTorch's
        assert records[3]["bicubic_psnr"] == pytest.approx(35.252, abs=1e-3)
        assert curves.curve(records, "chelsea").protocol.startswith("paper_y")

    def test_a_repetition_is_kept_until_the_recipe_changes(self, curves, tmp_path):
        (tmp_path / "run").mkdir()
        ours = [evaluation(4, 31.0)]
        first = curves.repeat(tmp_path / "run", RECIPE, ours)
        file = tmp_path / "run_pytorch" / "metrics.jsonl"
        written = file.stat().st_mtime_ns
        assert curves.repeat(tmp_path / "run", RECIPE, ours) == first
        assert file.stat().st_mtime_ns == written
        again = curves.repeat(tmp_path / "run", dataclasses.replace(RECIPE, seed=5), ours)
        assert again != first
