import struct

import cv2
import numpy as np
import pytest

from srtrain.data import DEGRADATIONS
from srtrain.data.degrade import Degrade
from srtrain.data.embedded import embedded
from srtrain.data.folders import Pair, folder
from srtrain.data.loader import Loader
from srtrain.data.picture import read_rgb, write_png
from srtrain.data.resize import imresize
from srtrain.data.sampler import Sampler
from srtrain.data.store import Pictures, free_memory_bytes
from srtrain.errors import DataError
from srtrain.metrics.colour import brightness


@pytest.fixture
def paired(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "HR").mkdir()
    (tmp_path / "LR_bicubic" / "X2").mkdir(parents=True)
    for name, (height, width) in {"a": (31, 40), "b": (24, 25)}.items():
        gt = rng.integers(0, 256, (height, width, 3), np.uint8)
        write_png(tmp_path / "HR" / f"{name}.png", gt)
        lq = imresize(gt[: height // 2 * 2, : width // 2 * 2], 0.5)
        write_png(tmp_path / "LR_bicubic" / "X2" / f"{name}x2.png", lq)
    return tmp_path


@pytest.mark.parametrize("cache", ["memory", "mmap", "none"])
def test_files_and_on_the_fly_give_the_same_pictures(paired, cache, tmp_path):
    from_files = Pictures(folder(str(paired), 2), 2, cache, tmp_path / "cache")
    made = Pictures(folder(str(paired), 2, "on_the_fly"), 2, cache, tmp_path / "cache")
    assert len(from_files) == len(made) == 2
    for i, size in enumerate([(15, 20), (12, 12)]):
        assert from_files.lq_sizes[i] == made.lq_sizes[i] == size
        assert from_files.gt(i).shape == (size[0] * 2, size[1] * 2, 3)
        assert np.array_equal(from_files.gt(i), made.gt(i))
        assert np.array_equal(from_files.lq(i), made.lq(i))


def test_a_patch_of_lq_lies_over_its_gt(paired):
    pictures = Pictures(folder(str(paired), 2), 2)
    lq, gt = pictures.patch(0, y=3, x=5, lq_px=4)
    assert np.array_equal(lq, pictures.lq(0)[3:7, 5:9])
    assert np.array_equal(gt, pictures.gt(0)[6:14, 10:18])


def test_sizes_that_do_not_fit(paired):
    write_png(paired / "LR_bicubic" / "X2" / "bx2.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r"b\.png' is 25×24 px, so .* 12×12 px, but '.*bx2\.png' is 8×8 px"):
        Pictures(folder(str(paired), 2), 2)


def test_nothing_left_at_this_scale(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((3, 9, 3), np.uint8))
    with pytest.raises(DataError, match=r"a\.png' is 9×3 px .* too small for x4"):
        Pictures(folder(str(tmp_path), 4, "on_the_fly"), 4)


def test_a_set_larger_than_memory_is_refused_with_numbers(tmp_path):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + b"crc?"

    side = 13_000  # 0.5 GB as RGB
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    (tmp_path / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IEND", b""))
    with pytest.raises(
        DataError, match=r"12675\.0 GB \(12675000000000 bytes\) for 20,000 pictures, but .* are free"
    ):
        Pictures([Pair(str(k), tmp_path / "large.png", None) for k in range(20_000)], 2)


def test_free_memory_is_a_plausible_number():
    assert 1e7 < free_memory_bytes() < 1e14


def test_unknown_cache(paired):
    with pytest.raises(DataError, match=r"cache='memery' does not exist\. Did you mean 'memory'\?"):
        Pictures(folder(str(paired), 2), 2, cache="memery")


def test_what_is_done_to_odd_pictures_is_said(tmp_path, caplog):
    rgba = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
    cv2.imwrite(str(tmp_path / "see-through.png"), rgba)
    pictures = Pictures(folder(str(tmp_path), 2, "on_the_fly"), 2)
    assert np.array_equal(pictures.gt(0), rgba[..., 2::-1])
    assert caplog.messages == [
        "1 of 1 picture files have an alpha channel, which is ignored: see-through.png."
    ]


def test_no_pairs():
    with pytest.raises(DataError, match="no pictures"):
        Pictures([], 2)


def test_a_damaged_picture_is_named_when_decoded(paired):
    path = paired / "HR" / "b.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"b\.png' cannot be decoded"):
        Pictures(folder(str(paired), 2), 2)


@pytest.mark.parametrize("cache", ["memory", "mmap", "none"])
def test_grey_pictures_are_the_brightness_in_three_equal_channels(cache, tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    write_png(tmp_path / "colour.png", colour)
    write_png(tmp_path / "grey.png", colour[..., 0])
    pairs = [Pair(name, tmp_path / f"{name}.png", None) for name in ("colour", "grey")]
    rgb = Pictures(pairs, 2, cache, tmp_path / "cache")
    grey = Pictures(pairs, 2, cache, tmp_path / "cache", grey=True)  # the packs of colours are not its own
    for i in range(2):
        for picture in (grey.gt(i), grey.lq(i)):
            assert (picture == picture[..., :1]).all()
    assert np.abs(grey.gt(0)[..., 0] - brightness(colour)).max() <= 0.51
    assert np.array_equal(grey.gt(1), rgb.gt(1))  # a grey file keeps its values
    assert np.array_equal(grey.lq(1), rgb.lq(1))
    lq, gt = grey.patch(0, 2, 3, 5)
    assert np.array_equal(lq, grey.lq(0)[2:7, 3:8])
    assert np.array_equal(gt, grey.gt(0)[4:14, 6:16])


def test_batches_of_grey_pictures_have_one_channel_also_with_noise():
    pictures = Pictures(embedded(2, names=("chelsea",)), 2, "memory", grey=True)
    sampler = Sampler(1, 3, seed=1)
    batch = Loader(pictures, sampler, 16, augment=False, workers=0).batch(0)
    assert batch.lq.shape == (3, 1, 8, 8)
    assert batch.gt.shape == (3, 1, 16, 16)
    for row, sample in enumerate(batch.samples):
        lq, gt = pictures.patch(0, sample.place.y, sample.place.x, 8)
        assert np.array_equal(batch.lq[row, 0], lq[..., 0])
        assert np.array_equal(batch.gt[row, 0], gt[..., 0])
    noise = Degrade((DEGRADATIONS.build("noise", sigma=25),))
    noisy = Loader(pictures, sampler, 96, augment=False, workers=0, degrade=noise).batch(0)
    clean = Loader(pictures, sampler, 96, augment=False, workers=0).batch(0)
    assert np.std(noisy.lq.astype(float) - clean.lq) == pytest.approx(25, abs=2)
    scored = Pictures(pictures.pairs, 2, "none", degrade=noise, grey=True)
    assert (scored.lq(0) == scored.lq(0)[..., :1]).all()
    assert np.std(scored.lq(0).astype(float) - pictures.lq(0)) == pytest.approx(25, abs=2)


@pytest.mark.parametrize("cache", ["memory", "mmap", "none"])
def test_a_picture_that_is_listed_several_times_is_decoded_once(paired, cache, tmp_path):
    a, b = folder(str(paired), 2)
    pictures = Pictures([b, a, b, b], 2, cache, tmp_path / "cache")
    assert len(pictures) == 4
    assert pictures.lq_sizes == [(12, 12), (15, 20), (12, 12), (12, 12)]
    assert [pictures.name(i) for i in range(4)] == ["b", "a", "b", "b"]
    for i, file in enumerate(("b", "a", "b", "b")):
        assert np.array_equal(pictures.lq(i), read_rgb(paired / "LR_bicubic" / "X2" / f"{file}x2.png"))
    if cache != "none":
        assert np.shares_memory(pictures.gt(0), pictures.gt(3))
