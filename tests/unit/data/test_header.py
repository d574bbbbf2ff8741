"""Colour and depth: every kind of file is read correctly or refused, never silently wrong."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from srtrain.data.header import MAX_PX, notices
from srtrain.data.picture import look, read_rgb, size_of
from srtrain.errors import DataError


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(rows, colour, bits, *extra):
    """Write a PNG by hand: ``rows`` are the packed bytes of each line."""
    height, n_bytes = rows.shape
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    width = n_bytes * 8 // (bits * channels)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    body = b"".join(chunk(name, data) for name, data in extra)
    pixels = chunk(b"IDAT", zlib.compress(lines.tobytes()))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + pixels + chunk(b"IEND", b"")


def numbers(height, n_bytes):
    return np.random.default_rng(5).integers(0, 256, (height, n_bytes), np.uint8)


def read(tmp_path, data, name="a.png"):
    path = tmp_path / name
    path.write_bytes(data)
    return look(path), read_rgb(path)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits_spreads_over_the_whole_range(tmp_path, bits):
    rows = numbers(6, 4)
    header, rgb = read(tmp_path, png(rows, 0, bits))
    levels = np.unpackbits(rows, axis=1).reshape(6, -1, bits) @ (1 << np.arange(bits)[::-1])
    assert (header.mode, header.bits) == ("grey", bits)
    assert np.array_equal(rgb, np.repeat((levels * 255 // (2**bits - 1))[..., None], 3, axis=2))


def test_palette_becomes_its_colours(tmp_path):
    palette = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    rows = numbers(5, 7)
    header, rgb = read(tmp_path, png(rows, 3, 8, (b"PLTE", palette.tobytes())))
    assert header.mode == "palette"
    assert np.array_equal(rgb, palette[rows])


@pytest.mark.parametrize(("colour", "channels", "mode"), [(6, 4, "rgba"), (4, 2, "grey+alpha")])
def test_alpha_is_dropped_and_the_colours_stay(tmp_path, colour, channels, mode):
    rows = numbers(5, 6 * channels)
    rows[:, channels - 1 :: channels] = [0, 1, 2, 100, 254, 255]
    header, rgb = read(tmp_path, png(rows, colour, 8))
    colours = rows.reshape(5, 6, channels)[..., :-1]
    assert header.mode == mode
    assert header.alpha
    assert np.array_equal(rgb, np.broadcast_to(colours, (5, 6, 3)))


def test_transparent_palette_counts_as_alpha(tmp_path):
    palette = numbers(256, 3)
    rows = numbers(5, 7)
    data = png(rows, 3, 8, (b"PLTE", palette.tobytes()), (b"tRNS", bytes(range(256))))
    header, rgb = read(tmp_path, data)
    assert header.alpha
    assert np.array_equal(rgb, palette[rows])


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3)])
def test_sixteen_bits_are_rounded_to_eight(tmp_path, colour, channels):
    values = np.random.default_rng(2).integers(0, 65536, (8, 9, channels)).astype(np.uint16)
    values[0, :5, 0] = [0, 128, 129, 65535, 65406]  # 128/257 rounds down, 129/257 up
    header, rgb = read(tmp_path, png(values.astype(">u2").view(np.uint8).reshape(8, -1), colour, 16))
    assert header.bits == 16
    assert np.array_equal(rgb, np.broadcast_to(np.rint(values / 257).astype(np.uint8), (8, 9, 3)))


def exif_turned(orientation):
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_exif_turn_is_obeyed(tmp_path, orientation):
    exif = exif_turned(orientation)
    rows = numbers(6, 24)
    header, rgb = read(tmp_path, png(rows, 2, 8, (b"eXIf", exif)))
    expected = TURNS[orientation](rows.reshape(6, 8, 3))
    assert header.exif
    assert np.array_equal(rgb, expected)
    assert size_of(tmp_path / "a.png") == expected.shape[:2]

    jpeg = cv2.imencode(".jpg", rows.reshape(6, 8, 3))[1].tobytes()
    _, plain = read(tmp_path, jpeg, "plain.jpg")
    block = b"Exif\0\0" + exif
    with_exif = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]
    _, rgb = read(tmp_path, with_exif, "turned.jpg")
    assert np.array_equal(rgb, TURNS[orientation](plain))


def test_cmyk_jpeg_is_refused(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow writes the CMYK file")
    path = tmp_path / "print.jpg"
    image.fromarray(numbers(16, 64).reshape(16, 16, 4), "CMYK").save(path)
    for attempt in (look, read_rgb):
        with pytest.raises(DataError, match=r"print\.jpg' cannot be used: it is a JPEG of 4 colours"):
            attempt(path)


def test_a_bmp_of_sixteen_bits_a_pixel_is_refused(tmp_path):
    data = bytearray(cv2.imencode(".bmp", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    data[28] = 16
    (tmp_path / "a.bmp").write_bytes(bytes(data))
    with pytest.raises(DataError, match="a BMP with 16 bits per pixel is not supported"):
        look(tmp_path / "a.bmp")


def claiming(kind, width, height):
    """Return a small file of a kind whose header claims this size."""
    if kind == "png":
        data = bytearray(png(numbers(4, 12), 2, 8))
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    else:
        data = bytearray(cv2.imencode(f".{kind}", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
        if kind == "bmp":
            data[18:26] = struct.pack("<ii", width, height)
        else:
            start = data.find(b"\xff\xc0") + 5
            data[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp"])
def test_a_header_that_claims_too_much_is_refused_without_the_memory(tmp_path, kind, cramped):
    path = tmp_path / f"bomb.{kind}"
    path.write_bytes(claiming(kind, 65535, 65535))
    for read in (look, read_rgb):
        with (
            cramped(100_000_000),
            pytest.raises(
                DataError, match=rf"bomb\.{kind}' cannot be used: its header claims 65535×65535 px, and"
            ),
        ):
            read(path)
    path.write_bytes(claiming(kind, 8, 0))
    with pytest.raises(
        DataError, match=rf"bomb\.{kind}' cannot be used: .* a width of 8 px and a height of 0 px"
    ):
        look(path)


def test_the_largest_picture_that_is_accepted(tmp_path):
    side = int(MAX_PX**0.5)
    (tmp_path / "a.png").write_bytes(claiming("png", side, side))
    assert look(tmp_path / "a.png").width == side
    (tmp_path / "a.png").write_bytes(claiming("png", side, side + 2))
    with pytest.raises(DataError, match=r"at most 178,956,970 pixels\. If it is really that large, cut it"):
        look(tmp_path / "a.png")


def test_a_bmp_of_negative_size(tmp_path):
    (tmp_path / "a.bmp").write_bytes(claiming("bmp", -5, 4))
    with pytest.raises(DataError, match=r"a\.bmp' cannot be used: .* a width of -5 px and a height of 4 px"):
        look(tmp_path / "a.bmp")
    rows = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    data = bytearray(cv2.imencode(".bmp", rows[..., ::-1])[1].tobytes())
    data[22:26] = struct.pack("<i", -4)  # stored from the top down, which is allowed
    (tmp_path / "a.bmp").write_bytes(bytes(data))
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.bmp"), rows[::-1])


def test_a_second_transparency_of_a_png_is_no_crash(tmp_path):
    grey_with_alpha = png(numbers(4, 8), 4, 8, (b"tRNS", b"\0\1"))
    (tmp_path / "a.png").write_bytes(grey_with_alpha)
    assert look(tmp_path / "a.png").mode == "grey+alpha"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG\r\n\x1a\n" + chunk(b"gAMA", bytes(20)), "the first PNG chunk is not IHDR"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes([0, 0, 0, 4] * 2 + [8, 5, 0, 0, 0])), "colour type 5"),
        (b"\xff\xd8\xff\xd9", "holds no picture"),
        (b"\xff\xd8\x00\x00", "no JPEG marker at byte 2"),
    ],
)
def test_files_that_break_their_format(tmp_path, data, message):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match=message):
        look(tmp_path / "a.png")


def test_notices_count_and_name(tmp_path):
    headers = {}
    for i in range(6):
        path = tmp_path / f"{i}.png"
        path.write_bytes(png(numbers(4, 16), 6, 8))
        headers[path] = look(path)
    path = tmp_path / "deep.png"
    path.write_bytes(png(numbers(4, 24), 2, 16))
    headers[path] = look(path)
    assert notices(headers) == [
        "6 of 7 picture files have an alpha channel, which is ignored: 0.png, 1.png, 2.png, 3.png, "
        "4.png and 1 more.",
        "1 of 7 picture files have 16 bits a channel, which are rounded to 8: deep.png.",
    ]
    assert notices({}) == []
