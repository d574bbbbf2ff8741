"""Networks for several scales: exports, engines, inference and evaluation at each of them."""

import json

import numpy as np
import pytest

import srtrain
from srtrain.cli.main import main
from srtrain.data.picture import write_png
from srtrain.errors import RecipeError
from srtrain.infer.open import open_engine
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.models.mdsr import MDSR
from srtrain.models.upscale import Upscaler
from srtrain.trainer.checkpoint import CheckpointStore

ARGS = {"n_resblocks": 1, "n_feats": 4}
LQ = np.random.default_rng(0).uniform(0, 255, (1, 3, 9, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A checkpoint whose recipe has the scale 2."""
    folder = tmp_path_factory.mktemp("mdsr")
    model = MDSR(2, **ARGS)
    initialise(model, kaiming_uniform(), seed=1)
    about = {"model": "mdsr", "model_args": ARGS, "scale": 2}
    CheckpointStore(folder / "run" / "checkpoints", about).save(0, {"model": model.parameters_dict()}, {})
    return folder / "run", model


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["onnx", "mindir", "param"])
def test_every_format_holds_the_scale_that_was_asked_for(run, suffix):
    folder, model = run
    file = folder.parent / f"x3.{suffix}"
    assert main(["export", str(folder), "--to", str(file), "--scale", "3"]) == 0
    engine = open_engine(file)
    assert (engine.scale, engine.about["model"]) == (3, "mdsr")
    np.testing.assert_allclose(engine(LQ), Upscaler(model, 3)(LQ), atol=1e-3)
    with pytest.raises(RecipeError, match=r"--scale 2: .* is an exported file, which has the scale 3 only"):
        open_engine(file, scale=2)


def test_a_checkpoint_is_opened_at_each_scale(run):
    folder = run[0]
    for scale in (2, 4):
        loaded = srtrain.load(folder, engine="mindspore", scale=scale)
        assert loaded.scale == scale
        assert loaded.upscale(np.zeros((5, 6, 3), np.uint8)).shape == (5 * scale, 6 * scale, 3)
    with pytest.raises(RecipeError, match=r"--scale 8: the network in .* works at x2, x3, x4 only"):
        srtrain.load(folder, engine="mindspore", scale=8)


@pytest.mark.slow
def test_evaluate_scores_every_scale(run, capsys, tmp_path):
    write_png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (36, 48, 3)).astype(np.uint8))
    words = ["--sets", f"folder={tmp_path}", "--lr-type", "on_the_fly", "--json"]
    methods = ["--method", "plain", "self-ensemble"]
    assert main(["evaluate", str(run[0]), *words, *methods, "--scale", "2", "3"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {(row["model"], row["scale"]) for row in rows} == {("run_x2", 2), ("run_x3", 3)}
    assert len(rows) == 4
