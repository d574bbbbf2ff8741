import numpy as np
import pytest

from srtrain.data.sampler import Draw, Sampler
from srtrain.data.transforms import HFLIP, ROT90, VFLIP, Place, place, turned


def square(side=6):
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)


@pytest.mark.parametrize("turn", range(8))
def test_turns_are_flips_and_quarter_turns(turn):
    patch = square()
    expected = patch[:, ::-1] if turn & 1 else patch
    expected = expected[::-1] if turn & 2 else expected
    expected = expected.swapaxes(0, 1) if turn & 4 else expected
    assert np.array_equal(turned(patch, turn), expected)


def test_all_eight_ways_to_lay_a_square():
    patch = square()
    seen = {turned(patch, turn).tobytes() for turn in range(8)}
    ways = {np.rot90(p, k).tobytes() for p in (patch, patch[:, ::-1]) for k in range(4)}
    assert seen == ways


def test_turning_a_view_of_a_file_that_cannot_be_written(tmp_path):
    np.save(tmp_path / "a.npy", square(40))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    view = mapped[3:15, 4:16]
    for turn in range(8):
        assert np.array_equal(turned(view, turn), turned(np.array(view), turn))


def test_places_reach_every_corner_and_no_further():
    draws = [d for step in range(300) for d in Sampler(3, 8, seed=0).draw(step)]
    places = [place(draw, (12, 20), 10, augment=True) for draw in draws]
    assert {p.y for p in places} == set(range(3))
    assert {p.x for p in places} == set(range(11))
    assert {p.turn for p in places} == set(range(8))


def test_without_augmentation_nothing_is_turned():
    draw = Draw(step=0, index=0, picture=0, uniform=(0.5, 0.5, 0.99))
    assert place(draw, (11, 11), 10, augment=False) == Place(y=1, x=1, turn=0)
    assert place(draw, (11, 11), 10, augment=True) == Place(y=1, x=1, turn=7)


@pytest.mark.parametrize(
    ("turns", "seen"),
    [(0, {0}), (HFLIP, {0, 1}), (VFLIP, {0, 2}), (ROT90, {0, 4}), (HFLIP | ROT90, {0, 1, 4, 5})],
)
def test_each_flip_can_be_switched_off(turns, seen):
    draws = [d for step in range(40) for d in Sampler(3, 8, seed=0).draw(step)]
    assert {place(draw, (11, 11), 10, True, turns).turn for draw in draws} == seen
