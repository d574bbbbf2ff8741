"""One interface to networks, chosen by the suffix of the file or by name."""

import numpy as np
import pytest

from srtrain.errors import CheckpointError, UnknownNameError
from srtrain.infer.engines import open_engine
from srtrain.models.upscale import Upscaler
from srtrain.trainer.checkpoint import CheckpointStore

ABOUT = {"model": "edsr", "model_args": {"n_resblocks": 1, "n_feats": 4}, "scale": 3}


def test_a_run_folder_is_run_by_mindspore(new_model, tmp_path):
    source = new_model(3, seed=3)
    CheckpointStore(tmp_path / "checkpoints", ABOUT).save(5, {"model": source.parameters_dict()}, {})
    lq = np.random.default_rng(0).uniform(0, 255, (2, 3, 7, 10)).astype(np.float32)
    engine = open_engine(tmp_path)
    assert (engine.name, engine.scale, engine.about["step"], engine.input_px) == ("mindspore", 3, 5, None)
    np.testing.assert_array_equal(engine(lq[:1]), Upscaler(source)(lq[:1]))
    assert engine(lq).shape == (2, 3, 21, 30)


def test_what_no_engine_reads_is_refused(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"gone' does not exist\. Give a run folder, a step_… folder, or"
    ):
        open_engine(tmp_path / "gone")
    (tmp_path / "x.txt").write_text("text")
    with pytest.raises(CheckpointError, match=r"x\.txt' ends in '\.txt', which no engine reads"):
        open_engine(tmp_path / "x.txt")
    with pytest.raises(UnknownNameError, match=r"'mindspor'.*Did you mean 'mindspore'"):
        open_engine(tmp_path, engine="mindspor")
