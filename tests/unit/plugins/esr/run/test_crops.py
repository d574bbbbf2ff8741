"""The crops are the same every time, input and ground truth match, and the benchmark's protocol scores them."""

import numpy as np
import pytest
from srtrain_plugins.esr.run.crops import Crops

from srtrain.data.resize import imresize
from srtrain.data.store import Pictures
from srtrain.errors import RecipeError
from srtrain.evaluation.evaluator import EvalSet


def test_they_depend_on_the_seed_alone(benchmark_set):
    one, again, other = (Crops([benchmark_set], 12, 3, seed) for seed in (1, 1, 2))
    assert one.lq.shape == (6, 3, 12, 12)
    assert one.lq.dtype == np.float32
    np.testing.assert_array_equal(one.lq, again.lq)
    assert not np.array_equal(one.lq, other.lq)


def test_input_and_truth_are_of_one_place(benchmark_set):
    """The bicubic enlargement of an input crop is close to its own ground truth and to no other."""
    crops = Crops([benchmark_set], 14, 2, seed=3)
    enlarged = np.stack(
        [imresize(lq.transpose(1, 2, 0).astype(np.uint8), 2).transpose(2, 0, 1) for lq in crops.lq]
    ).astype(np.float32)
    right = crops.psnr(enlarged)
    assert right > 20
    assert crops.psnr(enlarged[::-1]) < right - 5


def test_the_score_is_the_protocols(benchmark_set):
    crops = Crops([benchmark_set], 16, 1, seed=0)
    lq, gt = benchmark_set.pictures.lq(0), benchmark_set.pictures.gt(0)
    assert lq.shape[:2] == (20, 20)
    sr = np.zeros((2, 3, 32, 32), np.float32)
    expected = []
    for i, (_, truth) in enumerate(crops._gt):
        expected.append(benchmark_set.protocol.psnr(sr[i].transpose(1, 2, 0).astype(np.uint8), truth, 2))
    assert crops.psnr(sr) == pytest.approx(np.mean(expected))
    assert gt.shape[:2] == (40, 40)


def test_it_says_what_is_scored_and_how(benchmark_set):
    assert Crops([benchmark_set], 12, 3, 0).protocol == (
        "6 crops of crops, 12 px in, paper_y (Y of BT.601, 2 px border, 8 bit)"
    )


def test_what_cannot_be_cut(benchmark_set):
    with pytest.raises(
        RecipeError, match=r"lq_px = 19 is larger than the picture 'ear' of crops, which has 18 x 20"
    ):
        Crops([benchmark_set], 19, 1, 0)
    with pytest.raises(RecipeError, match="but it has none"):
        Crops([], 19, 1, 0)


def test_a_flat_crop_does_not_make_the_score_infinite(odd_set):
    flat = EvalSet("flat", Pictures([odd_set.pictures.pairs[i] for i in (0, 1)], 2), 2, odd_set.protocol)
    crops = Crops([flat], 12, 1, seed=0)
    sr = crops.lq.repeat(2, axis=2).repeat(2, axis=3)
    alone = odd_set.protocol.psnr(sr[0].transpose(1, 2, 0).astype(np.uint8), crops._gt[0][1], 2)
    assert crops.psnr(sr) == pytest.approx((alone + 100) / 2)
