"""The batch of a step does not depend on the number of workers or ranks, or on earlier steps."""

import threading
import traceback

import numpy as np
import pytest

from srtrain.data.embedded import embedded
from srtrain.data.folders import Pair, folder
from srtrain.data.loader import Loader
from srtrain.data.picture import write_png
from srtrain.data.resize import imresize
from srtrain.data.sampler import Sampler
from srtrain.data.store import Pictures
from srtrain.data.transforms import turned
from srtrain.errors import DataError


@pytest.fixture(scope="module")
def pictures():
    return Pictures(embedded(2), 2)


def make(pictures, rank=0, world_size=1, **kwargs):
    sampler = Sampler(len(pictures), 6, seed=4, rank=rank, world_size=world_size)
    return Loader(pictures, sampler, gt_patch_px=32, **kwargs)


def same(one, other):
    return (
        np.array_equal(one.lq, other.lq) and np.array_equal(one.gt, other.gt) and one.samples == other.samples
    )


def test_a_batch_is_float_nchw_rgb(pictures):
    batch = make(pictures).batch(0)
    for array, side in ((batch.lq, 16), (batch.gt, 32)):
        assert array.shape == (6, 3, side, side)
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
        assert array.flags.owndata
        assert array.max() > 100
        assert array.min() >= 0


def test_each_row_is_what_its_record_says(pictures):
    for step in range(4):
        batch = make(pictures).batch(step)
        for row, sample in enumerate(batch.samples):
            y, x, turn = sample.place.y, sample.place.x, sample.place.turn
            i = sample.draw.picture
            assert batch.names[row] == pictures.name(i)
            lq = turned(pictures.lq(i)[y : y + 16, x : x + 16], turn)
            gt = turned(pictures.gt(i)[2 * y : 2 * y + 32, 2 * x : 2 * x + 32], turn)
            assert np.array_equal(batch.lq[row], lq.transpose(2, 0, 1))
            assert np.array_equal(batch.gt[row], gt.transpose(2, 0, 1))


def test_lq_and_gt_stay_aligned_under_every_turn(pictures):
    seen = set()
    for step in range(12):
        batch = make(pictures).batch(step)
        for lq, gt, sample in zip(batch.lq, batch.gt, batch.samples, strict=True):
            seen.add(sample.place.turn)
            small = imresize(gt.transpose(1, 2, 0), 0.5)[4:-4, 4:-4].astype(int)
            # Rounding after each dimension makes a transposed picture differ in the last step or two.
            tolerance = 2 if sample.place.turn & 4 else 0
            assert np.abs(small - lq.transpose(1, 2, 0)[4:-4, 4:-4]).max() <= tolerance
    assert seen == set(range(8))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_prefetching_changes_nothing(pictures, workers):
    with make(pictures, workers=workers) as loader:
        loader.start(5)
        ahead = [loader.next() for _ in range(7)]
        loader.start(2)
        again = loader.next()
    straight = make(pictures)
    assert all(same(batch, straight.batch(5 + i)) for i, batch in enumerate(ahead))
    assert same(again, straight.batch(2))


@pytest.mark.parametrize("cache", ["mmap", "none"])
def test_the_cache_changes_nothing(pictures, cache, tmp_path):
    cached = Pictures(embedded(2), 2, cache, tmp_path)
    assert all(same(make(cached).batch(step), make(pictures).batch(step)) for step in range(3))


def test_ranks_make_up_the_global_batch(pictures):
    whole = make(pictures).batch(3)
    shares = [make(pictures, rank, 3).batch(3) for rank in range(3)]
    assert np.array_equal(np.concatenate([share.gt for share in shares]), whole.gt)
    assert [s for share in shares for s in share.samples] == list(whole.samples)


def test_a_batch_is_never_written_again(pictures):
    with make(pictures) as loader:
        loader.start(0)
        held = [loader.next() for _ in range(5)]
    straight = make(pictures)
    assert all(same(batch, straight.batch(step)) for step, batch in enumerate(held))


def test_an_error_in_a_thread_arrives_with_its_traceback(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    pictures = Pictures(folder(str(tmp_path), 2, "on_the_fly"), 2, cache="none")
    (tmp_path / "a.png").write_bytes(b"")
    with Loader(pictures, Sampler(1, 1, seed=0), gt_patch_px=8) as loader:
        loader.start(0)
        with pytest.raises(DataError, match=r"a\.png' is an empty file") as caught:
            loader.next()
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "read_rgb" in frames
    assert "batch" in frames


def test_close_ends_the_threads_and_can_be_repeated(pictures):
    loader = make(pictures, workers=2)
    loader.start(0)
    assert any(t.name.startswith("srtrain-data") for t in threading.enumerate())
    loader.close()
    loader.close()
    assert not any(t.name.startswith("srtrain-data") for t in threading.enumerate())
    with pytest.raises(RuntimeError, match=r"before Loader\.start"):
        loader.next()


def test_a_patch_that_the_scale_does_not_divide(pictures):
    with pytest.raises(
        DataError,
        match=r"gt_patch_px=33 is not a multiple of the scale 2\. The nearest multiples are 32 and 34",
    ):
        Loader(pictures, Sampler(3, 1, seed=0), gt_patch_px=33)


def test_a_patch_larger_than_a_picture_names_it(pictures):
    with pytest.raises(DataError, match=r"500 px is larger than 2 of 3 pictures: 'coffee' is 600×400 px"):
        Loader(pictures, Sampler(3, 1, seed=0), gt_patch_px=500)


def test_negative_workers(pictures):
    with pytest.raises(DataError, match="workers=-1"):
        make(pictures, workers=-1)


def test_a_picture_as_large_as_the_patch(tmp_path):
    write_png(tmp_path / "a.png", np.full((8, 8, 3), 7, np.uint8))
    pictures = Pictures([Pair("a", tmp_path / "a.png", None)], 2)
    batch = Loader(pictures, Sampler(1, 2, seed=0), gt_patch_px=8).batch(0)
    assert batch.gt.shape == (2, 3, 8, 8)
    assert (batch.gt == 7).all()
