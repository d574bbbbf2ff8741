"""Batches of several scales: one scale each, from (seed, step) alone."""

from collections import Counter

import numpy as np
import pytest

from srtrain.data.embedded import embedded
from srtrain.data.loader import Loader
from srtrain.data.sampler import Sampler, turn_of
from srtrain.data.scales import ScalesLoader
from srtrain.data.store import Pictures
from srtrain.errors import DataError


@pytest.fixture(scope="module")
def sets():
    return [Pictures(embedded(scale, names=("chelsea",)), scale) for scale in (2, 3)]


def loader(sets, seed=5, rank=0, n_ranks=1, workers=0):
    sampler = Sampler(1, 4, seed, rank, n_ranks)
    return ScalesLoader([Loader(one, sampler, 8 * one.scale, workers=workers) for one in sets], seed)


def test_a_batch_has_one_scale_and_the_same_input_at_each(sets):
    whole = loader(sets)
    scales = []
    for step in range(12):
        batch = whole.batch(step)
        assert batch.lq.shape == (4, 3, 8, 8)
        scales.append(batch.gt.shape[2] // 8)
        assert batch.gt.shape == (4, 3, 8 * scales[-1], 8 * scales[-1])
    assert set(scales) == {2, 3}


def test_all_ranks_and_a_resumed_run_agree_on_the_scale(sets):
    whole, halves = loader(sets), [loader(sets, rank=rank, n_ranks=2, workers=1) for rank in (0, 1)]
    for half in halves:
        half.start(7)
    for step in range(7, 12):
        batch, parts = whole.batch(step), [half.next() for half in halves]
        np.testing.assert_array_equal(np.concatenate([part.gt for part in parts]), batch.gt)
    for half in halves:
        half.close()


def test_scales_come_equally_often_and_depend_on_the_seed():
    turns = [turn_of(step, 1, 3) for step in range(600)]
    assert all(150 < n < 250 for n in Counter(turns).values())
    assert turns != [turn_of(step, 2, 3) for step in range(600)]


def test_scales_with_other_pictures_are_refused(sets):
    more = Pictures(embedded(3, names=("chelsea", "coffee")), 3)
    with pytest.raises(DataError, match=r"1 picture at x2, 2 pictures at x3\. All scales need"):
        loader([sets[0], more])
