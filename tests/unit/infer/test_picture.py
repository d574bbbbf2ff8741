"""A picture file keeps its format and contents, compared with Pillow and OpenCV."""

import contextlib
import io
import struct
import zlib

import cv2
import numpy as np
import png
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from srtrain.errors import DataError
from srtrain.infer.picture import Picture, Room, decode_picture, encode_picture, read_picture

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def random_pixels(shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def saved(pixels, kind, mode=None, **options):
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


HOLDS = {  # what each format that loses nothing can hold; grey with alpha and 16 bits has a test of its own
    "png": [((5, 7), 8), ((5, 7, 2), 8), ((5, 7, 3), 8), ((5, 7, 4), 8)],
    "tiff": [((5, 7), 8), ((5, 7, 2), 8), ((5, 7, 3), 8), ((5, 7, 4), 8)],
    "webp": [((5, 7, 3), 8), ((5, 7, 4), 8)],
}
for deep in ("png", "tiff"):
    HOLDS[deep] += [((5, 7), 16), ((5, 7, 3), 16), ((5, 7, 4), 16)]


@pytest.mark.parametrize(("kind", "shape", "bits"), [(kind, *what) for kind in HOLDS for what in HOLDS[kind]])
def test_what_loses_nothing_gives_back_the_same_picture_and_profile(kind, shape, bits):
    pixels = random_pixels(shape, np.uint8 if bits == 8 else np.uint16)
    if kind == "webp":
        pixels |= np.uint8(1)  # alpha of 0 would let it forget the colour
    picture = decode_picture(encode_picture(Picture(pixels, kind, PROFILE), quality=100), "x")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.pixels.dtype == pixels.dtype
    assert (picture.format, picture.profile) == (kind, PROFILE)


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_others_read_our_16_bit_files_with_their_profile(kind, shape):
    pixels = random_pixels(shape, np.uint16)
    data = encode_picture(Picture(pixels, kind, PROFILE + b"\0"))  # of odd length
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    rgb = read if pixels.ndim == 2 else read[..., [2, 1, 0, 3][: shape[2]]]
    np.testing.assert_array_equal(rgb, pixels)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.info["icc_profile"] == PROFILE + b"\0"
    if kind == "tiff":
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            assert [int(x) for x in file.pages[0].extrasamples] == ([2] if shape[2:] == (4,) else [])


def test_16_bit_grey_with_alpha_is_read_as_that_and_written_as_rgba():
    pixels = random_pixels((3, 4, 2), np.uint16)

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 3, 16, 4, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    picture = decode_picture(data, "x")
    np.testing.assert_array_equal(picture.pixels, pixels)
    again = decode_picture(encode_picture(picture), "x")
    np.testing.assert_array_equal(again.pixels, pixels[..., [0, 0, 0, 1]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_turn_is_applied_once(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = random_pixels((4, 6, 3))
    for kind, options in (
        ("png", {}),
        ("tiff", {}),
        ("webp", {"lossless": True}),
        ("jpeg", {"quality": 100}),
    ):
        data = saved(pixels, kind, exif=exif, **options)
        with Image.open(io.BytesIO(data)) as image:
            expected = np.asarray(ImageOps.exif_transpose(image))
        picture = decode_picture(data, "x")
        np.testing.assert_array_equal(picture.pixels, expected)
        written = encode_picture(picture)
        with Image.open(io.BytesIO(written)) as image:
            assert image.getexif().get(0x0112, 1) == 1


def test_an_exif_turn_of_16_bits():
    pixels = random_pixels((4, 6, 3), np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data = encode_picture(Picture(pixels, "png"))
    picture = decode_picture(data[:33] + chunk + data[33:], "x")
    np.testing.assert_array_equal(picture.pixels, np.rot90(pixels, -1))


def test_modes_that_are_none_of_ours():
    pixels = random_pixels((6, 8))
    one_bit = decode_picture(saved(pixels, "png", "1"), "x").pixels
    assert (one_bit.shape, set(np.unique(one_bit))) == ((6, 8), {0, 255})
    palette = decode_picture(saved(random_pixels((6, 8, 3)), "png", "P"), "x").pixels
    assert palette.shape == (6, 8, 3)
    image = Image.fromarray(pixels // 128).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    file = io.BytesIO()
    image.save(file, "png", transparency=1)
    transparent = decode_picture(file.getvalue(), "x").pixels
    np.testing.assert_array_equal(transparent[..., 3], np.where(pixels < 128, 255, 0))
    assert (transparent[pixels < 128][:, :3] == [255, 0, 0]).all()
    keyed = decode_picture(saved(pixels, "png", transparency=int(pixels[0, 0])), "x").pixels
    np.testing.assert_array_equal(keyed[..., 1] == 0, pixels == pixels[0, 0])


def test_jpeg_and_bmp():
    pixels = cv2.GaussianBlur(random_pixels((40, 40, 3)), (0, 0), 4)
    jpeg = encode_picture(Picture(pixels, "jpeg", PROFILE), quality=95)
    picture = decode_picture(jpeg, "x")
    assert np.abs(picture.pixels.astype(int) - pixels).max() <= 4
    assert picture.profile == PROFILE
    assert len(encode_picture(Picture(pixels, "jpeg"), quality=30)) < len(jpeg) / 2
    grey = decode_picture(encode_picture(Picture(pixels[..., 0], "jpeg")), "x").pixels
    assert grey.shape == (40, 40)
    bmp = decode_picture(encode_picture(Picture(pixels.astype(np.uint16) * 257, "bmp")), "x")
    np.testing.assert_array_equal(bmp.pixels, pixels)


@pytest.mark.parametrize("shape", [(9, 8, 2), (9, 8, 4)])
@pytest.mark.parametrize("kind", ["jpeg", "bmp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_that_is_opaque_everywhere_is_left_out(shape, kind, dtype):
    pixels = np.full(shape, np.iinfo(dtype).max // 3, dtype)
    pixels[..., -1] = np.iinfo(dtype).max
    found = decode_picture(encode_picture(Picture(pixels, kind)), "x").pixels
    assert found.shape[2:] in ((), (3,))
    np.testing.assert_allclose(found, 85, atol=1)
    pixels[0, 0, -1] -= 1
    with pytest.raises(DataError, match="has alpha"):
        encode_picture(Picture(pixels, kind))


def test_what_a_format_does_not_hold_is_refused():
    with pytest.raises(
        DataError, match=r"the picture has alpha, which JPEG cannot store\. Use --format png, webp"
    ):
        encode_picture(Picture(random_pixels((4, 4, 4)), "jpeg"))
    with pytest.raises(DataError, match="20000×1 px cannot be written as WEBP"):
        encode_picture(Picture(random_pixels((1, 20000, 3)), "webp"))


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "tiff", "bmp"])
def test_a_file_that_was_cut_short_is_refused(kind, tmp_path):
    path = tmp_path / "cut"
    data = saved(random_pixels((64, 64, 3)), kind)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(
        DataError, match=r"cut' cannot be decoded: .*The file is damaged; copy or download it again"
    ):
        read_picture(path)


def test_a_16_bit_file_that_was_cut_short_is_refused():
    for kind in ("png", "tiff"):
        data = encode_picture(Picture(random_pixels((64, 64, 3), np.uint16), kind))
        with pytest.raises(DataError, match=r"cannot be decoded|not a PNG.* its beginning is damaged"):
            decode_picture(data[: len(data) // 2], "x")


def test_what_is_no_picture_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"cannot read picture .*gone\.png': No such file"):
        read_picture(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"'x' is not a PNG.* it starts with b'hello wo'"):
        decode_picture(b"hello world", "x")
    with pytest.raises(DataError, match=r"'x' is not a PNG.* it is empty"):
        decode_picture(b"", "x")
    with pytest.raises(DataError, match=r"'x' is not a PNG.* it starts with b'GIF8"):
        decode_picture(saved(random_pixels((4, 4)), "gif"), "x")
    with pytest.raises(DataError, match=r"'x' has colours of the kind 'CMYK'; supported are grey and RGB"):
        decode_picture(saved(random_pixels((4, 4, 3)), "jpeg", "CMYK"), "x")
    frames = [Image.fromarray(random_pixels((4, 4, 3), seed=i)) for i in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "tiff", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="'x' contains 3 pictures; save the one"):
        decode_picture(file.getvalue(), "x")
    with pytest.raises(
        DataError, match="'x' is a TIFF file with floating point numbers of 32 bits, which is not"
    ):
        decode_picture(saved(np.zeros((4, 4), np.float32), "tiff"), "x")


def tiff(pixels, photometric, extra=None, planar=False, **options):
    """Return a TIFF with these samples (HWC), written by tifffile."""
    file = io.BytesIO()
    stored = np.moveaxis(pixels, 2, 0) if planar else pixels if pixels.shape[2] > 1 else pixels[..., 0]
    if pixels.shape[2] > 1:
        options["planarconfig"] = "separate" if planar else "contig"
    if extra:
        options["extrasamples"] = [extra]
    tifffile.imwrite(file, np.ascontiguousarray(stored), photometric=photometric, metadata=None, **options)
    return file.getvalue()


def packed_tiff(levels, photometric, bits):
    """Return a TIFF of grey levels of less than 8 bits (HW), by the specification: rows are padded to whole bytes."""
    height, width = levels.shape
    spread = (levels[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint8)) & 1
    rows = np.packbits(spread.reshape(height, -1), axis=1).tobytes()
    entries = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height}
    entries[279] = len(rows)
    start = 8 + len(rows) + len(rows) % 2
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    directory = struct.pack("<H", len(entries)) + tags + bytes(4)
    return struct.pack("<2sHI", b"II", 42, start) + rows + bytes(len(rows) % 2) + directory


LAYOUTS = [
    {"byteorder": "<"},
    {"byteorder": ">", "rowsperstrip": 4},
    {"byteorder": ">", "tile": (16, 16), "compression": "lzw"},
    {"byteorder": "<", "compression": "zlib", "predictor": True, "rowsperstrip": 3},
    {"byteorder": ">", "compression": "lzw", "predictor": True, "tile": (16, 32)},
    {"byteorder": "<", "compression": "packbits", "bigtiff": True},
]
KINDS = [  # photometric, channels, extra channel; how the samples become pixels
    ("minisblack", 1, None),
    ("miniswhite", 1, None),
    ("minisblack", 2, "unassalpha"),
    ("minisblack", 2, "assocalpha"),
    ("rgb", 3, None),
    ("rgb", 4, "unassalpha"),
    ("rgb", 4, "assocalpha"),
]


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("photometric", "n", "extra"), KINDS)
@pytest.mark.parametrize("layout", range(len(LAYOUTS)))
def test_every_layout_of_a_tiff_gives_the_stored_samples_their_meaning(
    photometric, n, extra, bits, planar, layout
):
    samples = random_pixels((21, 37, n), np.uint8 if bits == 8 else np.uint16, layout)
    top = np.iinfo(samples.dtype).max
    samples[:4, :, -1] = [[0], [1], [top // 2], [top]]
    data = tiff(samples, photometric, extra, planar and n > 1, **LAYOUTS[layout])
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(data)).ravel()[:1], samples.ravel()[:1])
    expected = top - samples if photometric == "miniswhite" else samples
    if extra == "assocalpha":
        alpha = samples[..., -1:].astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            colours = np.where(alpha > 0, np.minimum(samples[..., :-1] * float(top) / alpha, top), 0)
        expected = np.concatenate([np.floor(colours + 0.5), alpha], axis=2)
    picture = decode_picture(data, "x")
    assert picture.pixels.dtype == samples.dtype
    np.testing.assert_array_equal(picture.pixels, expected[..., 0] if n == 1 else expected)


def test_other_decoders_agree_on_tiffs():
    """OpenCV and Pillow use libtiff, and we do not."""
    deep = random_pixels((9, 11, 3), np.uint16)
    done, encoded = cv2.imencode(".tif", deep[..., ::-1])
    assert done
    np.testing.assert_array_equal(decode_picture(encoded.tobytes(), "x").pixels, deep)
    done, encoded = cv2.imencode(".tif", random_pixels((9, 11, 4), np.uint16))
    assert decode_picture(encoded.tobytes(), "x").pixels.shape == (
        9,
        11,
        4,
    )  # OpenCV does not declare its alpha
    rgb = cv2.GaussianBlur(random_pixels((40, 48, 3)), (0, 0), 3)
    image = Image.fromarray(rgb)
    for picture, compressions in (
        (image, ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd")),
        (image.convert("L"), ("raw", "tiff_lzw", "jpeg")),
        (image.convert("1"), ("raw", "group3", "group4", "tiff_ccitt", "packbits")),
        (image.convert("P"), ("raw", "tiff_lzw")),
        (Image.fromarray(np.dstack([rgb, rgb[..., 0]])), ("raw", "tiff_lzw")),
    ):
        for compression in compressions:
            file = io.BytesIO()
            picture.save(file, "tiff", compression=compression)
            with Image.open(io.BytesIO(file.getvalue())) as again:
                wanted = np.asarray(again.convert({"1": "L", "P": "RGB"}.get(again.mode)))
            np.testing.assert_array_equal(decode_picture(file.getvalue(), "x").pixels, wanted)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_few_bits_of_a_tiff_spread_over_the_whole_range(bits, photometric):
    levels = np.random.default_rng(bits).integers(0, 2**bits, (7, 13, 1), np.uint8)
    data = packed_tiff(levels[..., 0], ("miniswhite", "minisblack").index(photometric), bits)
    expected = levels[..., 0] * (255 // (2**bits - 1))
    np.testing.assert_array_equal(
        decode_picture(data, "x").pixels, 255 - expected if photometric == "miniswhite" else expected
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_of_16_bits_is_turned(orientation):
    grey = random_pixels((4, 6, 1), np.uint16)
    data = tiff(grey, "minisblack", extratags=[(274, "H", 1, orientation, True)])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(grey[..., 0])
    image.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(
        decode_picture(data, "x").pixels, np.asarray(ImageOps.exif_transpose(image))
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: tiff(random_pixels((4, 4, 4)), "separated"), "colours of the kind CMYK"),
        (lambda: tiff(random_pixels((4, 4, 4), np.uint16), "separated"), "colours of the kind CMYK"),
        (lambda: tiff(random_pixels((4, 4, 3)), "cielab"), "colours of the kind Lab"),
        (
            lambda: tiff(random_pixels((4, 4, 4), np.uint16), "rgb", "unspecified"),
            "an extra channel whose meaning",
        ),
        (
            lambda: tiff(random_pixels((4, 4, 2)), "minisblack", "unspecified"),
            "an extra channel whose meaning",
        ),
        (lambda: tiff(random_pixels((4, 4, 2)), "miniswhite", "unassalpha"), r"2 channels \(white is 0\)"),
        (lambda: tiff(random_pixels((4, 4, 3), np.uint32), "rgb"), "whole numbers of 32 bits"),
        (lambda: tiff(random_pixels((4, 4, 3)).astype(np.int16), "rgb"), "signed numbers of 16 bits"),
        (
            lambda: tiff(random_pixels((4, 4, 1)).astype(np.float16), "minisblack"),
            "floating point numbers of 16",
        ),
    ],
)
def test_other_kinds_of_tiff_are_refused_by_name(data, reason):
    with pytest.raises(DataError, match=f"'x' is a TIFF file with {reason}.*, which is not supported"):
        decode_picture(data(), "x")


def written_by_pypng(colour, bits, transparent, interlace):
    """Return a PNG and the samples in it."""
    n = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgba": 4}[colour]
    samples = np.random.default_rng(bits).integers(0, 2**bits, (9, 13, n)).astype(np.uint16)
    samples[:3] = samples[0, 0]
    options = {}
    if transparent:
        options["transparent"] = tuple(map(int, samples[0, 0])) if n == 3 else int(samples[0, 0, 0])
    writer = png.Writer(
        13, 9, greyscale=n < 3, alpha=n in (2, 4), bitdepth=bits, interlace=interlace, gamma=0.3, **options
    )
    file = io.BytesIO()
    writer.write(file, [row.ravel().tolist() for row in samples])
    return file.getvalue(), samples


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize(
    ("colour", "bits", "transparent"),
    [
        *(("grey", bits, transparent) for bits in (1, 2, 4, 8, 16) for transparent in (False, True)),
        *(("rgb", bits, transparent) for bits in (8, 16) for transparent in (False, True)),
        *((colour, bits, False) for colour in ("grey+alpha", "rgba") for bits in (8, 16)),
    ],
)
def test_every_kind_of_png(colour, bits, transparent, interlace):
    data, samples = written_by_pypng(colour, bits, transparent, interlace)
    top = 65535 if bits == 16 else 255
    expected = samples * (top // (2**bits - 1))
    if transparent:
        visible = (samples != samples[0, 0]).any(-1, keepdims=True)
        expected = np.concatenate([expected, visible * top], axis=2)
    pixels = decode_picture(data, "x").pixels
    assert pixels.dtype == (np.uint16 if bits == 16 else np.uint8)
    np.testing.assert_array_equal(pixels if pixels.ndim == 3 else pixels[..., None], expected)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def test_long_texts_and_large_profiles_of_a_png():
    pixels = random_pixels((5, 7, 3))
    data = encode_picture(Picture(pixels, "png"))
    text = chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"A1b2" * 500_000))
    profile = random_pixels((3_000_000,)).tobytes()
    colours = chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile))
    picture = decode_picture(data[:33] + text + colours + data[33:], "x")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.profile == profile
    bomb = chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(100_000_000)))
    assert decode_picture(data[:33] + bomb + data[33:], "x").profile is None


def bomb(kind, width=65535, height=65535):
    """Return a small file whose header claims this size."""
    pixels = random_pixels((16, 16, 3))
    if kind == "png":
        data = bytearray(encode_picture(Picture(pixels, "png")))
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "jpeg":
        data = bytearray(encode_picture(Picture(pixels, "jpeg")))
        start = data.find(b"\xff\xc0") + 5
        data[start : start + 4] = struct.pack(">HH", height, width)
    elif kind == "bmp":
        data = bytearray(encode_picture(Picture(pixels, "bmp")))
        data[18:26] = struct.pack("<ii", width, height)
    elif kind == "webp":
        data = bytearray(encode_picture(Picture(pixels, "webp"), 100))
        data[21:25] = (16382 | 16382 << 14).to_bytes(4, "little")
    else:
        data = bytearray(tiff(pixels, "rgb"))
        with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
            tags = file.pages[0].tags
            for number, value in ((256, width), (257, height), (278, height)):
                struct.pack_into(
                    "<H" if tags[number].dtype == 3 else "<I", data, tags[number].valueoffset, value
                )
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "webp", "tiff"])
def test_a_header_that_claims_too_much_is_refused_without_the_memory(kind, cramped, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # as the command does
    data = bomb(kind)
    with (
        cramped(100_000_000),
        pytest.raises(
            DataError, match=r"'x' claims \d{5}×\d{5} px\. The picture and its output at x4 .* add --memory"
        ),
    ):
        decode_picture(data, "x", Room(1_500_000_000, 4))


def test_a_tiff_without_its_last_strips_is_refused():
    """tifffile would leave that part as it was in memory."""
    data = bytearray(tiff(random_pixels((16, 16, 3)), "rgb", rowsperstrip=16))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        tag = file.pages[0].tags[278]
        struct.pack_into("<H" if tag.dtype == 3 else "<I", data, tag.valueoffset, 4)
    with pytest.raises(DataError, match=r"'x' cannot be decoded: a part of the picture is missing"):
        decode_picture(bytes(data), "x")


def test_a_small_strip_that_inflates_to_much_is_refused_without_the_memory(cramped):
    data = bytearray(tiff(np.zeros((16, 16, 3), np.uint8), "rgb", compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        tags = file.pages[0].tags
        packed = zlib.compress(bytes(120_000_000))
        for number, value in ((273, len(data)), (279, len(packed))):
            kind = {3: "<H", 4: "<I"}[tags[number].dtype]
            struct.pack_into(kind, data, tags[number].valueoffset, value if kind == "<I" else value & 0xFFFF)
    with cramped(60_000_000), contextlib.suppress(DataError):
        assert decode_picture(bytes(data) + packed, "x").pixels.max() == 0


@pytest.mark.parametrize(
    ("kind", "width", "height"), [("bmp", -5, 4), ("png", 2**32 - 1, 4), ("tiff", 65535, 0)]
)
def test_a_size_that_is_no_size(kind, width, height):
    with pytest.raises(
        DataError,
        match=r"^'x' (claims|is larger than|cannot be decoded|is a TIFF file with a size of|is not a PNG)",
    ):
        decode_picture(bomb(kind, width, height), "x")


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"link\.png': it is a link to .*gone\.png', which does not exist"):
        read_picture(tmp_path / "link.png")
    (tmp_path / "a.png").write_bytes(bytes(2000))
    with pytest.raises(DataError, match=r"a\.png' has 2,000 bytes, more than --memory allows \(1,000\)"):
        read_picture(tmp_path / "a.png", Room(1000, 2))
