"""The sheet shows the pictures that its labels name."""

import numpy as np

from srtrain.data.resize import imresize
from srtrain.infer.compare import compare_sheet

RNG = np.random.default_rng(4)


def is_on(sheet, picture):
    """Return True if a picture is somewhere on the sheet, pixel for pixel."""
    height, width = picture.shape[:2]
    corners = (sheet[: -height + 1, : -width + 1] == picture[0, 0]).all(axis=2)
    return any((sheet[y : y + height, x : x + width] == picture).all() for y, x in np.argwhere(corners))


def test_input_bicubic_and_output_are_side_by_side():
    lq = RNG.integers(0, 256, (150, 160, 3), np.uint8)
    sr = imresize(lq, 2)
    sr[40:60, 50:70] ^= 63
    sheet = compare_sheet(lq, sr, "a network")
    for picture in (lq.repeat(2, 0).repeat(2, 1), imresize(lq, 2), sr):
        assert is_on(sheet, picture[200:])  # below the frame of the detail
    assert is_on(sheet, sr[44:56, 54:66].repeat(4, 0).repeat(4, 1))  # the detail is where the two differ


def test_grey_16_bits_and_alpha_are_shown_as_8_bit_rgb_on_white():
    grey = RNG.integers(0, 65536, (150, 160), np.uint16)
    shown = ((grey / 257).round().astype(np.uint8))[..., None].repeat(3, 2)
    large = grey.repeat(2, 0).repeat(2, 1)
    assert is_on(compare_sheet(grey, large, "x"), shown.repeat(2, 0).repeat(2, 1)[:8, :8])
    rgba = RNG.integers(0, 256, (150, 160, 4), np.uint8)
    alpha = rgba[..., 3:] / 255
    on_white = np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    sheet = compare_sheet(rgba, rgba.repeat(2, 0).repeat(2, 1), "x")
    assert is_on(sheet, on_white.repeat(2, 0).repeat(2, 1)[:8, :8])


def test_of_a_large_picture_the_middle_is_shown():
    lq = np.zeros((1224, 1124, 3), np.uint8)
    lq[100:1124, 50:1074] = 200
    sheet = compare_sheet(lq, lq.repeat(2, 0).repeat(2, 1), "x")
    assert (
        not (sheet == 0).all(axis=2)[:500].sum() > 10_000
    )  # the border is not there; a few are of the frame
    assert (sheet == 200).all(axis=2).sum() > 500_000
