"""The scores in the cards of the built-in models, on the real benchmarks; and how a run becomes such a model."""

import argparse
import json

import pytest

from srtrain import zoo
from srtrain.cli.main import main
from srtrain.files import import_file
from srtrain.models.edsr import EDSR
from srtrain.recipe import Recipe, Spec, Train
from srtrain.recipe.record import to_json
from srtrain.trainer.checkpoint import CheckpointStore

TOLERANCE_DB, TOLERANCE_SSIM = 0.005, 0.0002
ARGS = {"n_resblocks": 1, "n_feats": 4}


@pytest.mark.slow
@pytest.mark.shared_data
def test_every_model_has_the_scores_in_its_card(shared_data, capsys):
    cards = {name: zoo.card_of(name) for name in zoo.names()}
    told = {(name, score["set"]): score for name, card in cards.items() for score in card["scores"]}
    sets = sorted({name for _, name in told})
    words = [
        "evaluate",
        *cards,
        "--sets",
        *sets,
        "--root",
        str(shared_data),
        "--protocol",
        "paper_y",
        "--json",
    ]
    assert main([*words, "--engine", "native"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    found = {(row["model"], row["set"]): row for row in rows}
    for key, score in told.items():
        assert found[key]["psnr"] == pytest.approx(score["psnr"], abs=TOLERANCE_DB), key
        assert found[key]["ssim"] == pytest.approx(score["ssim"], abs=TOLERANCE_SSIM), key


@pytest.fixture
def run_folder(tmp_path):
    """What a training leaves of a network that is not trained."""
    folder = tmp_path / "runs" / "tiny_x2"
    about = {"model": "edsr", "model_args": ARGS, "scale": 2}
    CheckpointStore(folder / "checkpoints", about).save(7, {"model": EDSR(2, **ARGS).parameters_dict()}, {})
    (folder / "recipe.json").write_text(
        to_json(Recipe("tiny_x2", 2, Spec("edsr", **ARGS), train=Train(steps=7), seed=5))
    )
    (folder / "command.txt").write_text("python tools/run.py recipes/quickstart.py seed=5 model.n_feats=4\n")
    return folder


@pytest.mark.slow
def test_a_run_becomes_a_model_and_a_second_call_keeps_its_scores(run_folder, repo_root, tmp_path):
    tool = import_file(repo_root / "tools" / "make_model.py", "test")
    to = tmp_path / "zoo"
    args = argparse.Namespace(to=to, data="nothing", root="", sets=["embedded"], commit="abc1234")
    tool.make(run_folder, "tiny_x2", args)
    card = json.loads((to / "tiny_x2.json").read_text())
    assert card["training"]["steps"] == 7
    assert card["training"]["recipe"] == "recipes/quickstart.py"
    assert {"seed=5", "model.n_feats=4"} <= set(card["training"]["changes"])
    (score,) = card["scores"]
    assert (score["set"], score["protocol"], score["method"]) == ("embedded", "paper_y", "plain")
    assert card["network"]["parameters"] == sum(p.size for p in EDSR(2, **ARGS).get_parameters())
    score["psnr"] = 12.5  # a second call must keep it, because the weights are the same
    (to / "tiny_x2.json").write_text(json.dumps(card))
    tool.make(run_folder, "tiny_x2", args)
    assert json.loads((to / "tiny_x2.json").read_text())["scores"] == [score]
