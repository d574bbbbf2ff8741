"""Truncated and damaged files: each is read correctly or refused with its name."""

import os
import struct
import zlib

import cv2
import numpy as np
import pytest

from srtrain.data.picture import look, read_rgb, size_of, write_bytes, write_png
from srtrain.errors import DataError


@pytest.fixture
def rgb():
    noise = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 2)


def encoded(rgb, suffix, *options):
    return cv2.imencode(suffix, rgb[..., ::-1], options)[1].tobytes()


def test_what_is_written_is_read(tmp_path, rgb):
    path = tmp_path / "a.png"
    write_png(path, rgb)
    assert np.array_equal(read_rgb(path), rgb)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_channels_come_as_rgb(tmp_path):
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    path = tmp_path / "red.bmp"
    path.write_bytes(encoded(red, ".bmp"))
    assert read_rgb(path)[0, 0].tolist() == [200, 0, 0]


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    write_png(tmp_path / "grey.png", grey)
    assert np.array_equal(read_rgb(tmp_path / "grey.png"), np.stack([grey] * 3, axis=2))
    assert look(tmp_path / "grey.png").mode == "grey"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("keep", [0.05, 0.5, 0.9, 0.999])
def test_cut_short_is_refused(tmp_path, rgb, suffix, keep):
    data = encoded(np.tile(rgb, (8, 8, 1)), suffix)
    path = tmp_path / f"short{suffix}"
    path.write_bytes(data)
    assert read_rgb(path).shape == (192, 256, 3)
    path.write_bytes(data[: int(len(data) * keep)])
    for read in (read_rgb, look):
        with pytest.raises(DataError, match=f"short{suffix}' is cut short"):
            read(path)


def test_a_progressive_jpeg_is_followed_to_its_end(tmp_path, rgb):
    data = encoded(np.tile(rgb, (8, 8, 1)), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert data.count(b"\xff\xda") > 1
    path = tmp_path / "progressive.jpg"
    path.write_bytes(data + b"bytes that a camera added")
    assert look(path).height == 192
    path.write_bytes(data[:-40])
    with pytest.raises(DataError, match="cut short"):
        look(path)


def test_a_thumbnail_inside_exif_is_not_the_end(tmp_path, rgb):
    data = encoded(rgb, ".jpg")
    thumbnail = b"Exif\0\0" + b"MM\0*\0\0\0\x08\0\0\0\0\0\0" + encoded(rgb[:8, :8], ".jpg")
    with_thumbnail = data[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + data[2:]
    path = tmp_path / "thumb.jpg"
    path.write_bytes(with_thumbnail)
    assert size_of(path) == (24, 32)
    path.write_bytes(with_thumbnail[:-100])
    with pytest.raises(DataError, match="cut short"):
        look(path)


def test_damaged_data_is_refused(tmp_path, rgb):
    data = bytearray(encoded(rgb, ".png"))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "flipped.png"
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"flipped\.png' cannot be decoded: the PNG data inside is damaged"):
        read_rgb(path)


def test_a_png_with_too_few_rows_is_refused(tmp_path):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress(bytes(30 * (1 + 3 * 64)))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    path = tmp_path / "rows.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    with pytest.raises(DataError, match=r"rows\.png' cannot be decoded"):
        read_rgb(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is an empty file"), (b"hello, world", "is no PNG, JPEG or BMP file"), (None, "No such file")],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    for read in (read_rgb, look):
        with pytest.raises(DataError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(DataError, match="it is a folder"):
        read_rgb(tmp_path)


def test_size_is_read_without_decoding(tmp_path, rgb):
    for suffix in (".png", ".jpg", ".bmp"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(encoded(rgb, suffix))
        assert size_of(path) == (24, 32)


def test_a_failed_write_leaves_nothing_behind(tmp_path, rgb):
    with pytest.raises(DataError, match=r"cannot write .*nowhere/a\.png': No such file"):
        write_png(tmp_path / "nowhere" / "a.png", rgb)
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(DataError, match=r"cannot write .*taken\.png'"):
        write_bytes(tmp_path / "taken.png", b"data")
    assert [p.name for p in tmp_path.iterdir()] == ["taken.png"]


def test_write_png_wants_bytes(tmp_path, rgb):
    with pytest.raises(ValueError, match="float32"):
        write_png(tmp_path / "a.png", rgb.astype(np.float32))


@pytest.mark.parametrize("read", [look, read_rgb])
def test_what_is_no_file_is_named(tmp_path, read):
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"link\.png': it is a link to '.*gone\.png', which does not exist"):
        read(tmp_path / "link.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(DataError, match=r"folder\.png': it is a folder"):
        read(tmp_path / "folder.png")
    os.mkfifo(tmp_path / "pipe.png")  # opening it would wait for ever
    with pytest.raises(DataError, match=r"pipe\.png': it is not a regular file"):
        read(tmp_path / "pipe.png")
    with pytest.raises(DataError, match=r"gone\.png': No such file"):
        read(tmp_path / "gone.png")


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt"])
def test_long_texts_in_a_png_do_not_matter(tmp_path, rgb, kind):
    text = b"A1b2" * 500_000
    body = {
        "tEXt": b"prompt\0" + text,
        "zTXt": b"prompt\0\0" + zlib.compress(text),
        "iTXt": b"prompt\0\1\0\0\0" + zlib.compress(text),
    }[kind]
    chunk = struct.pack(">I", len(body)) + kind.encode() + body
    chunk += struct.pack(">I", zlib.crc32(kind.encode() + body))
    data = encoded(rgb, ".png")
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), rgb)


def test_sixteen_bits_of_many_rows_are_rounded_like_of_few(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (200, 3, 3), np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.png"), values[..., ::-1])
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), np.rint(values / 257).astype(np.uint8))
