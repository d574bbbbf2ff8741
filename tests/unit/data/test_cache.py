"""The decoded cache: each file is decoded once, and again only if it changed; nothing is ever half-written."""

import json
import os
import struct

import numpy as np
import pytest

from srtrain.data.cache import MappedPictures, default_cache_dir
from srtrain.data.folders import Pair, folder
from srtrain.data.picture import write_png
from srtrain.data.store import Pictures
from srtrain.errors import DataError, MachineError


def noise(height, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def data(tmp_path):
    for i, (height, width) in enumerate([(20, 31), (24, 24), (40, 22), (30, 30)]):
        (tmp_path / "set" / "HR").mkdir(parents=True, exist_ok=True)
        write_png(tmp_path / "set" / "HR" / f"{i}.png", noise(height, width, i))
    return tmp_path / "set"


@pytest.fixture
def open_(data, tmp_path):
    def opened(scale=2):
        pairs = folder(str(data), scale, "on_the_fly")
        sizes = Pictures(pairs, scale, "none").lq_sizes
        return MappedPictures(pairs, scale, sizes, tmp_path / "cache")

    return opened


def manifest_of(tmp_path, made=False):
    (path,) = [p for p in tmp_path.glob("cache/*/*/manifest.jsonl") if ("-x2" in p.parent.name) == made]
    return path


def assert_right(mapped, data, scale=2):
    straight = Pictures(folder(str(data), scale, "on_the_fly"), scale, "memory")
    for i in range(len(straight)):
        assert np.array_equal(mapped.gt(i), straight.gt(i))
        assert np.array_equal(mapped.lq(i), straight.lq(i))


def test_pictures_come_back_and_only_the_first_time_decodes(open_, data):
    first = open_()
    assert first.n_decoded == 8  # 4 ground truths, and 4 low resolutions made from them
    again = open_()
    assert again.n_decoded == 0
    assert_right(again, data)
    assert not again.gt(0).flags.writeable


def test_scales_share_the_decoded_ground_truth(open_, data):
    open_(2)
    x3 = open_(3)
    assert x3.n_decoded == 4
    assert_right(x3, data, 3)


def test_release_keeps_views_valid(open_, data):
    mapped = open_()
    view = mapped.gt(1)
    before = view.copy()
    mapped.release()
    assert np.array_equal(view, before)


@pytest.mark.parametrize("size", [(24, 24), (26, 28)])
def test_only_changed_files_are_decoded_again(open_, data, size):
    open_()
    write_png(data / "HR" / "1.png", noise(*size, seed=99))
    changed = open_()
    assert changed.n_decoded == 2
    assert_right(changed, data)
    assert open_().n_decoded == 0


def test_a_new_time_alone_is_noted_and_not_decoded(open_, data, tmp_path):
    open_()
    os.utime(data / "HR" / "2.png", (1, 1))
    assert open_().n_decoded == 0
    last = json.loads(manifest_of(tmp_path).read_text().splitlines()[-1])
    assert (last["name"], last["source_mtime_ns"]) == ("2.png", 10**9)


def test_new_files_are_added(open_, data):
    open_()
    write_png(data / "HR" / "00.png", noise(22, 22, 7))
    grown = open_()
    assert grown.n_decoded == 2
    assert_right(grown, data)


def test_a_line_cut_short_is_decoded_again(open_, data, tmp_path):
    open_()
    manifest = manifest_of(tmp_path)
    text = manifest.read_text()
    manifest.write_text(text[:-20])
    mended = open_()
    assert mended.n_decoded == 1
    assert_right(mended, data)
    assert len(manifest.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 9999,
        b'{"name": 3}',
        "offset",
        "height",
        "more",
        "width",
        "sha256",
        "check",
    ],
    ids=[
        "bytes",
        "list",
        "empty",
        "deep",
        "type",
        "offset",
        "zero",
        "unknown key",
        "width",
        "hash",
        "checksum",
    ],
)
def test_a_damaged_line_is_decoded_again(open_, data, tmp_path, line):
    open_()
    manifest = manifest_of(tmp_path)
    first, *others = manifest.read_bytes().splitlines(keepends=True)
    if isinstance(line, str):
        line = json.dumps(
            {**json.loads(first), line: {"offset": 3, "height": 0, "sha256": ""}.get(line, 1)}
        ).encode()
    manifest.write_bytes(b"".join([line + b"\n", *others]))
    again = open_()
    assert again.n_decoded == 1
    assert_right(again, data)
    assert open_().n_decoded == 0


def test_pixels_cut_short_are_decoded_again(open_, data, tmp_path):
    open_()
    pixels = manifest_of(tmp_path).with_name("pictures.u8")
    os.truncate(pixels, pixels.stat().st_size - 1)
    mended = open_()
    assert mended.n_decoded == 1
    assert_right(mended, data)


def test_the_manifest_says_where_pixels_came_from(open_, data, tmp_path):
    open_()
    entries = [json.loads(line) for line in manifest_of(tmp_path).read_text().splitlines()]
    stat = (data / "HR" / "0.png").stat()
    assert (entries[0]["source_bytes"], entries[0]["source_mtime_ns"]) == (stat.st_size, stat.st_mtime_ns)
    assert (entries[0]["height"], entries[0]["width"]) == (20, 31)
    assert len({entry["sha256"] for entry in entries}) == 4


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(tmp_path):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + b"crc?"

    side = 13_000  # 0.5 GB as RGB
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    large = tmp_path / "large.png"
    large.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IEND", b""))
    pairs = [Pair(str(k), tmp_path / f"{k}.png", None) for k in range(6_000)]
    for pair in pairs:
        os.link(large, pair.gt)
    with pytest.raises(
        MachineError,
        match=r"no room for 6,000 pictures: 3,042,000,000,000 bytes are needed .* free .* Nothing was written",
    ):
        Pictures(pairs, 2, "mmap", tmp_path / "cache")
    assert sorted(p.name for p in tmp_path.glob("cache/*/*/*")) == ["lock", "lock.owner"]


def test_a_cache_that_cannot_be_written(open_, tmp_path):
    (tmp_path / "cache").write_text("a file, where a folder has to be")
    with pytest.raises(DataError, match=r"cannot write .*cache"):
        open_()


def test_an_unreadable_picture_is_named_and_does_not_spoil_the_cache(open_, data):
    good = (data / "HR" / "3.png").read_bytes()
    broken = bytearray(good)
    broken[len(good) // 2] ^= 0xFF
    (data / "HR" / "3.png").write_bytes(bytes(broken))
    with pytest.raises(DataError, match=r"3\.png' cannot be decoded"):
        open_()
    (data / "HR" / "3.png").write_bytes(good)
    assert_right(open_(), data)


def test_where_the_cache_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("SRTRAIN_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("SRTRAIN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "srtrain"
