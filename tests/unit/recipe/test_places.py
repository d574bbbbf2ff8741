"""Paths in a recipe: made absolute, found again, and left out."""

import dataclasses
import os

from srtrain.recipe import Benchmark, Data, Recipe, Spec, Train
from srtrain.recipe.places import anchored, found_again, without_places


def joined(*parts):
    return os.pathsep.join(map(str, parts))


def recipe_with(root, train):
    benchmarks = {"b": Benchmark(Spec("folder", root=root))}
    data = Data(root=root, train=train)
    return Recipe("r", 2, Spec("edsr"), data, Train(steps=1), benchmarks=benchmarks)


def test_each_of_several_roots_is_anchored_also_in_a_mix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = Spec("pairs", gt_dir="high", lq_dir="low"), Spec("folder", root=joined("a", "b"))
    now = anchored(recipe_with(joined("data/DIV2K", "data"), Spec("mix", sets=parts, weights=(1, 2))))
    roots = joined(tmp_path / "data" / "DIV2K", tmp_path / "data")
    assert now.data.root == now.benchmarks["b"].data.args["root"] == roots
    pairs, folder = now.data.train.args["sets"]
    assert pairs.args == {"gt_dir": str(tmp_path / "high"), "lq_dir": str(tmp_path / "low")}
    assert folder.args == {"root": joined(tmp_path / "a", tmp_path / "b")}
    assert now.data.train.args["weights"] == (1, 2)
    assert without_places(now).data.root.strip(os.pathsep) == ""


def test_roots_that_moved_with_their_run_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    recorded = anchored(recipe_with(joined("old/x", "old/y"), Spec("embedded")))
    recorded = anchored(recorded)  # a second time changes nothing
    (tmp_path / "old").rename(tmp_path / "new")
    for name in ("x", "y"):
        (tmp_path / "new" / name).mkdir()
    recorded = dataclasses.replace(recorded, run_dir=str(tmp_path / "old" / "run"))
    found = found_again(recorded, tmp_path / "new" / "run")
    assert found.data.root == joined(tmp_path / "new" / "x", tmp_path / "new" / "y")
