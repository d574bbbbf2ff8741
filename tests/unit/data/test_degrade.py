"""Degradation depends only on (seed, step, index); a patch equals the same region of the degraded picture."""

import dataclasses

import cv2
import numpy as np
import pytest

from srtrain.data import DEGRADATIONS
from srtrain.data.degrade import Degrade
from srtrain.data.embedded import embedded
from srtrain.data.folders import Pair
from srtrain.data.loader import Loader
from srtrain.data.resize import imresize
from srtrain.data.sampler import Sampler
from srtrain.data.store import Pictures
from srtrain.errors import DataError


@pytest.fixture(scope="module")
def pictures():
    return Pictures(embedded(2), 2)


def rng():
    return np.random.default_rng(3)


def build(name, **kwargs):
    return DEGRADATIONS.build(name, **kwargs)


def test_nothing_to_do_is_bicubic(pictures):
    assert np.array_equal(Degrade(())(pictures.gt(0), 2, rng()), pictures.lq(0))


def test_blur_is_gaussian_before_shrinking(pictures):
    gt = pictures.gt(1)
    blurred = cv2.GaussianBlur(gt, (0, 0), 1.5, borderType=cv2.BORDER_REFLECT).astype(int)
    ours = Degrade((build("blur", sigma_px=1.5),))(gt, 2, rng())
    assert np.abs(ours - imresize(blurred.astype(np.uint8), 0.5).astype(int)).max() <= 2
    assert np.array_equal(build("blur", sigma_px=0)(gt, rng()), gt)


@pytest.mark.parametrize("grey", [False, True])
def test_noise_has_its_sigma(grey):
    flat = np.full((200, 200, 3), 128, np.uint8)
    noise = build("noise", sigma=10, grey=grey)(flat, rng()).astype(float) - 128
    # the sample sigma of 40 000 values strays by 0.035 (one sigma), and rounding adds 1/12 to the variance
    assert abs(noise[..., 0].std() - 10) < 0.2
    assert abs(noise.mean()) < 0.2
    assert np.array_equal(noise[..., 0], noise[..., 1]) == grey


def test_jpeg_is_what_opencv_writes_at_that_quality(pictures):
    lq = pictures.lq(0)
    encoded = cv2.imencode(".jpg", lq[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 40))[1]
    assert np.array_equal(build("jpeg", quality=40)(lq, rng()), cv2.imdecode(encoded, 1)[..., ::-1])


def test_worse_quality_is_worse(pictures):
    lq = pictures.lq(0).astype(float)
    errors = [np.abs(build("jpeg", quality=q)(pictures.lq(0), rng()) - lq).mean() for q in (95, 60, 20)]
    assert errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("corner", [(0, 0), (30, 41), (117, 166)])
def test_a_patch_has_no_border_of_its_own(scale, corner):
    gt = Pictures(embedded(scale), scale).gt(2)
    degrade = Degrade((build("blur", sigma_px=1.7),))
    whole = degrade(gt, scale, rng())
    y, x = corner
    lq = degrade.patch(gt, corner, 24, scale, rng())
    assert np.array_equal(lq, whole[y : y + 24, x : x + 24])


@pytest.mark.parametrize("corner", [(0, 0), (31, 40), (30, 41), (117, 166)])
def test_a_mosaic_keeps_its_place_in_the_whole_picture(corner):
    gt = Pictures(embedded(1), 1).gt(2)
    degrade = Degrade((build("mosaic"),))
    whole = degrade(gt, 1, rng())
    for (y, x), channel in {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}.items():
        expected = np.zeros_like(gt[y::2, x::2])
        expected[..., channel] = gt[y::2, x::2, channel]
        assert np.array_equal(whole[y::2, x::2], expected)
    top, left = corner
    patch = degrade.patch(gt, corner, 24, 1, rng())
    assert np.array_equal(patch, whole[top : top + 24, left : left + 24])


def test_a_benchmark_has_the_same_noise_at_every_look_and_another_for_each_picture():
    degrade = Degrade((build("noise", sigma=25),))
    first, second = (Pictures(embedded(1), 1, "none", degrade=degrade) for _ in range(2))
    plain = Pictures(embedded(1), 1, "none")
    assert np.array_equal(first.lq(1), first.lq(1))
    assert np.array_equal(first.lq(1), second.lq(1))
    assert np.array_equal(first.gt(1), plain.gt(1))
    assert np.array_equal(plain.lq(1), plain.gt(1))  # at x1, nothing is downscaled
    noise = [first.lq(i)[:100, :100].astype(int) - plain.lq(i)[:100, :100] for i in (0, 1)]
    assert not np.array_equal(*noise)
    lq, gt = first.patch(1, 7, 9, 16)
    assert np.array_equal(lq, first.lq(1)[7:23, 9:25])
    assert np.array_equal(gt, plain.gt(1)[7:23, 9:25])


def test_a_degraded_benchmark_reads_no_low_resolution_files(tmp_path):
    pair = Pair("a", embedded(2)[0].gt, embedded(2)[1].gt)
    with pytest.raises(DataError, match="degrade makes low resolution from the ground truth"):
        Pictures([dataclasses.replace(pair, lq=pair.gt)], 1, "none", degrade=Degrade(()))


def steps():
    return (build("blur", sigma_px=(0.2, 2)), build("noise", sigma=(0, 12)), build("jpeg", quality=(50, 95)))


def test_batches_do_not_depend_on_ranks_workers_or_history(pictures):
    def loader(rank=0, world_size=1, workers=2):
        sampler = Sampler(3, 4, seed=8, rank=rank, world_size=world_size)
        return Loader(pictures, sampler, 32, workers=workers, degrade=Degrade(steps()))

    whole = loader().batch(6)
    shares = [loader(rank, 2).batch(6) for rank in range(2)]
    assert np.array_equal(np.concatenate([share.lq for share in shares]), whole.lq)
    with loader(workers=3) as ahead:
        ahead.start(4)
        batches = [ahead.next() for _ in range(3)]
    assert np.array_equal(batches[2].lq, whole.lq)
    plain = Loader(pictures, Sampler(3, 4, seed=8), 32).batch(6)
    assert np.array_equal(plain.gt, whole.gt)
    assert np.abs(plain.lq - whole.lq).mean() > 2


def test_low_resolution_files_and_degrade_do_not_go_together(pictures):
    files = Pictures(embedded(2), 2)
    files.pairs[0] = Pair("a", files.pairs[0].gt, files.pairs[0].gt)
    with pytest.raises(DataError, match=r"astronaut\.png'\. Set lr_type='on_the_fly', or remove degrade"):
        Loader(files, Sampler(3, 1, seed=0), 32, degrade=Degrade(()))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("blur", {"sigma_px": -1}, r"'blur': sigma_px=-1 must be .* within 0 to 100"),
        ("noise", {"sigma": (9, 3)}, r"'noise': sigma=\(9, 3\)"),
        ("jpeg", {"quality": 0}, r"'jpeg': quality=0 .* within 1 to 100"),
        ("jpeg", {"quality": "high"}, r"quality='high'"),
        ("jpeg", {"quality": (1, 2, 3)}, r"quality=\(1, 2, 3\)"),
    ],
)
def test_impossible_strengths(name, arguments, message):
    with pytest.raises(DataError, match=message):
        build(name, **arguments)
