"""The sheets of evaluated pictures."""

import numpy as np

from srtrain.data.picture import read_rgb
from srtrain.data.resize import imresize
from srtrain.evaluation.evaluator import Evaluator
from srtrain.evaluation.sheet import example_sheet
from srtrain.hooks.evaluate import EvaluateHook
from srtrain.hooks.writers.pictures import PicturesHook


def share_of_colours(sheet, picture):
    """Return the share of a picture's colours that occur in a sheet, where its pixels may be enlarged."""
    shown, colours = (np.unique(p.reshape(-1, 3) @ np.int64([1 << 16, 1 << 8, 1])) for p in (sheet, picture))
    assert len(colours) > 300
    return np.isin(colours, shown).mean()


def test_a_sheet_is_written_with_the_pictures_in_it(make_trainer, benchmark_set, evaluator):
    trainer = make_trainer([PicturesHook()], 2)
    evaluating = evaluator(trainer)
    trainer.hooks.insert(0, EvaluateHook([benchmark_set], evaluating, 1))
    trainer.train()
    (file,) = (trainer.run_dir / "pictures").iterdir()
    assert file.name == "crops_eye.png"
    result = evaluating.run(benchmark_set)
    expected = example_sheet(result.examples[0], result.protocol)
    np.testing.assert_array_equal(read_rgb(file), expected)  # of the last evaluation


def test_the_sheet_shows_bicubic_ours_and_ground_truth_unchanged(benchmark_set, make_trainer):
    backend = make_trainer().backend
    result = Evaluator(lambda lq: lq.repeat(2, axis=2).repeat(2, axis=3), backend).run(benchmark_set)
    example = result.examples[0]
    sheet = example_sheet(example, result.protocol)
    for picture in (example.gt, example.sr, imresize(example.lq, shape=example.gt.shape[:2])):
        assert share_of_colours(sheet, picture) > 0.8  # the rest is under a frame
    assert share_of_colours(sheet, example.gt[:, :, ::-1]) < 0.2


def test_another_rank_writes_nothing(make_trainer, benchmark_set, evaluator):
    trainer = make_trainer([PicturesHook()], 1)
    trainer.hooks.insert(0, EvaluateHook([benchmark_set], evaluator(trainer), 1))
    trainer.backend.rank = 1
    trainer.hooks[1].after_eval(trainer, evaluator(trainer).run(benchmark_set))
    assert not (trainer.run_dir / "pictures").exists()
