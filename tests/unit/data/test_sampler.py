"""Order is a pure function of (seed, step, index): checked over ranks, steps and epochs."""

import numpy as np
import pytest

from srtrain.data.sampler import Sampler, shard
from srtrain.errors import DataError


def test_each_epoch_is_a_permutation_of_its_own():
    sampler = Sampler(n_pictures=10, batch_size=4, seed=3)
    order = [draw.picture for step in range(15) for draw in sampler.draw(step)]
    epochs = np.reshape(order, (6, 10))
    assert (np.sort(epochs, axis=1) == np.arange(10)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 6


def test_a_step_is_the_same_after_any_history():
    fresh, used = Sampler(7, 4, seed=5), Sampler(7, 4, seed=5)
    for step in range(20):
        used.draw(step)
    assert fresh.draw(11) == used.draw(11)


@pytest.mark.parametrize("world_size", [1, 2, 3, 6])
def test_ranks_share_the_global_batch(world_size):
    whole = Sampler(50, 12, seed=1).draw(9)
    shares = [Sampler(50, 12, 1, rank, world_size).draw(9) for rank in range(world_size)]
    assert [draw for share in shares for draw in share] == whole
    assert [draw.index for draw in whole] == list(range(12))


def test_the_seed_matters():
    assert Sampler(50, 8, seed=1).draw(0) != Sampler(50, 8, seed=2).draw(0)


def test_uniform_numbers_are_uniform_and_differ():
    values = np.array([d.uniform for step in range(200) for d in Sampler(5, 8, seed=1).draw(step)])
    assert len(np.unique(values)) == values.size
    # 1600 draws a column: the mean of uniform numbers strays by 0.0072 (one sigma)
    assert np.abs(values.mean(axis=0) - 0.5).max() < 0.035
    assert values.min() >= 0
    assert values.max() < 1


def test_degrading_draws_from_a_stream_of_its_own():
    sampler = Sampler(5, 2, seed=1)
    first, second = sampler.draw(0)
    assert sampler.degrade_rng(first).random() == sampler.degrade_rng(first).random()
    assert sampler.degrade_rng(first).random() != sampler.degrade_rng(second).random()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, 1), "contains no picture"),
        ((5, 4, -1), "seed=-1 is negative"),
        ((5, 5, 1, 0, 2), "batch_size=5 .* Use a multiple of 2"),
        ((5, 0, 1), "batch_size=0"),
        ((5, 4, 1, 2, 2), r"rank=2 must be from 0 to 1, for 2 ranks"),
    ],
)
def test_impossible_samplers(arguments, message):
    with pytest.raises(DataError, match=message):
        Sampler(*arguments)


@pytest.mark.parametrize(("n_pictures", "world_size"), [(100, 8), (5, 8), (14, 3), (1, 1)])
def test_evaluation_drops_and_repeats_nothing(n_pictures, world_size):
    shares = [shard(n_pictures, rank, world_size) for rank in range(world_size)]
    assert sorted(i for share in shares for i in share) == list(range(n_pictures))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
