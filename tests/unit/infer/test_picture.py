"""A picture file keeps its format and contents, compared with Pillow and OpenCV."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from srtrain.errors import DataError
from srtrain.infer.picture import Picture, decode_picture, encode_picture, read_picture

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
    with pytest.raises(DataError, match="'x' has the format GIF; supported are PNG, JPEG"):
        decode_picture(saved(random_pixels((4, 4)), "gif"), "x")
    with pytest.raises(DataError, match=r"'x' has colours of the kind 'CMYK'; supported are grey and RGB"):
        decode_picture(saved(random_pixels((4, 4, 3)), "jpeg", "CMYK"), "x")
    frames = [Image.fromarray(random_pixels((4, 4, 3), seed=i)) for i in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "tiff", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="'x' contains 3 pictures; save the one"):
        decode_picture(file.getvalue(), "x")
    with pytest.raises(DataError, match="'x' has colours of the kind 'F'"):
        decode_picture(saved(np.zeros((4, 4), np.float32), "tiff"), "x")
