"""MATLAB's imresize: compared with files written by MATLAB if they exist, and with values computed by hand."""

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from srtrain.data import DATASETS, resize
from srtrain.data.embedded import embedded
from srtrain.data.picture import read_rgb
from srtrain.data.resize import crop_to_multiple, imresize, make_lq


def exact_line(values, n_out, factor):
    """The definition in exact fractions, one output pixel at a time: an independent reference."""

    def cubic(x):
        x = abs(x)
        if x <= 1:
            return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
        return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2 if x < 2 else Fraction(0)

    narrow, n_in, line = min(factor, Fraction(1)), len(values), []
    for out in range(n_out):
        centre = (out + Fraction(1, 2)) / factor - Fraction(1, 2)
        total = weight_sum = Fraction(0)
        for tap in range(int(centre - 2 / narrow) - 3, int(centre + 2 / narrow) + 4):
            weight = cubic((centre - tap) * narrow)
            mirrored = tap % (2 * n_in)
            total += weight * int(values[min(mirrored, 2 * n_in - 1 - mirrored)])
            weight_sum += weight
        line.append(total / weight_sum)
    return line


@pytest.mark.shared_data
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["set5", "set14"])
def test_bit_exact_on_the_official_files(shared_data, name, scale):
    for pair in DATASETS.build(name, root=str(shared_data), scale=scale):
        gt = read_rgb(pair.gt)
        height, width = gt.shape[0] // scale * scale, gt.shape[1] // scale * scale
        assert np.array_equal(imresize(gt[:height, :width], 1 / scale), read_rgb(pair.lq)), pair.name


@pytest.mark.slow
@pytest.mark.parametrize(
    "factor", [Fraction(1, 2), Fraction(1, 3), Fraction(1, 4), Fraction(2), Fraction(3), Fraction(5, 7)]
)
@pytest.mark.parametrize("axis", [0, 1])
def test_one_dimension_against_exact_fractions(factor, axis):
    values = np.random.default_rng(2).integers(0, 256, 84, np.uint8)
    n_out = int(84 * factor)
    line = values[:, None] if axis == 0 else values[None]
    shape = (n_out, 1) if axis == 0 else (1, n_out)
    exact = exact_line(values, n_out, factor)
    floats = imresize(line.astype(np.float64), shape=shape).ravel()
    assert np.abs(floats - np.array(exact, dtype=float)).max() < 1e-11
    rounded = imresize(line, shape=shape).ravel().tolist()
    # A value exactly between two numbers goes up, where the weights are exact in binary: x2 and x4.
    clear = [factor.denominator in (1, 2, 4) or (2 * value).denominator > 1 for value in exact]
    expected = [min(max(int(value + Fraction(1, 2)), 0), 255) for value in exact]
    assert sum(clear) > 0.9 * n_out
    assert [a for a, ok in zip(rounded, clear, strict=True) if ok] == [
        a for a, ok in zip(expected, clear, strict=True) if ok
    ]


def small_picture():
    """12×12 grey: a smooth but busy half, and a checkerboard of 0 and 255, on which every kernel overshoots."""
    y, x = np.mgrid[:12, :12]
    picture = ((y * y * 7 + x * x * 13 + y * x * 29) % 256).astype(np.uint8)
    picture[:, 8:] = np.where((x + y)[:, 8:] % 2, 255, 0)
    return picture


# Worked out once with `exact_line`, rows first, rounded after each dimension.
FROZEN = {
    Fraction(1, 2): [
        [15, 118, 156, 132, 117, 138],
        [87, 131, 122, 63, 120, 128],
        [152, 109, 171, 137, 112, 129],
        [147, 96, 148, 149, 119, 129],
        [125, 152, 91, 109, 134, 128],
        [132, 82, 114, 131, 130, 118],
    ],
    Fraction(1, 3): [[55, 144, 111, 131], [129, 138, 112, 125], [133, 128, 133, 127], [122, 102, 127, 124]],
    Fraction(1, 4): [[86, 127, 124], [134, 137, 123], [119, 116, 126]],
}


@pytest.mark.parametrize("factor", FROZEN)
def test_frozen_vectors(factor):
    assert imresize(small_picture(), float(factor)).tolist() == FROZEN[factor]


@pytest.mark.parametrize("factor", FROZEN)
def test_frozen_vectors_come_from_the_definition(factor):
    n_out = int(12 * factor)

    def rounded(line):
        exact = exact_line(line, n_out, factor)
        return [min(max(int(value + Fraction(1, 2)), 0), 255) for value in exact]

    rows = np.array([rounded(column) for column in small_picture().T]).T
    assert [rounded(row) for row in rows] == FROZEN[factor]


def test_frozen_vectors_have_teeth():
    """These pictures show the differences between our resize and that of other programs."""
    picture, right = small_picture(), np.array(FROZEN[Fraction(1, 2)])
    once_rounded = np.clip(np.floor(imresize(picture.astype(np.float64), 0.5) + 0.5), 0, 255)
    columns_first = imresize(np.ascontiguousarray(picture.T), 0.5).T
    opencv = cv2.resize(picture, (6, 6), interpolation=cv2.INTER_CUBIC)
    for wrong in (once_rounded, columns_first, opencv):
        assert (wrong != right).any()


@pytest.mark.parametrize(
    ("scale", "shrunk", "enlarged"),
    [
        (2, "32c3dc5866375fcc", "d519fcee85a15f55"),
        (3, "2ed826137e6071ec", "b9e04099c108f258"),
        (4, "6b81de91ea08eef2", "cfe2faab06c668f2"),
    ],
)
def test_frozen_photograph(scale, shrunk, enlarged):
    """Hashes of an embedded photograph, taken when all 57 official files were bit-exact."""
    (pair,) = embedded(scale, names=("chelsea",))
    small = make_lq(read_rgb(pair.gt), scale)
    assert hashlib.sha256(small.tobytes()).hexdigest().startswith(shrunk)
    assert hashlib.sha256(imresize(small, scale).tobytes()).hexdigest().startswith(enlarged)


@pytest.mark.parametrize("scale", [2, 3, 4, 0.5, 1 / 3, 0.25])
def test_single_precision_gives_the_same_bytes_as_double(scale):
    noise = np.random.default_rng(1).integers(0, 2, (96, 120, 3)).astype(np.uint8) * 255
    double = noise.astype(np.float64)
    for axis in (0, 1):
        shape = [double.shape[0], double.shape[1]]
        shape[axis] = int(shape[axis] * scale)
        double = np.clip(np.floor(imresize(double, shape=tuple(shape)) + 0.5), 0, 255)
    assert np.array_equal(imresize(noise, scale), double)


def test_grey_is_one_channel_of_rgb():
    rgb = np.random.default_rng(1).integers(0, 256, (33, 47, 3), np.uint8)
    whole = imresize(rgb, 0.4)
    assert whole.shape == (14, 19, 3)
    assert np.array_equal(imresize(np.ascontiguousarray(rgb[..., 1]), 0.4), whole[..., 1])
    assert np.array_equal(imresize(rgb[..., 1:2], 0.4), whole[..., 1:2])


def test_more_channels_and_views():
    many = np.random.default_rng(1).integers(0, 256, (20, 24, 7), np.uint8)
    view = many[1:19, ::-1]
    assert np.array_equal(imresize(view, 0.5), imresize(view.copy(), 0.5))
    assert np.array_equal(imresize(many, 2)[..., 6], imresize(np.ascontiguousarray(many[..., 6]), 2))


def test_pictures_that_may_not_be_written():
    picture = np.random.default_rng(1).integers(0, 256, (33, 47, 3), np.uint8)
    expected = imresize(picture, 0.5)
    picture.flags.writeable = False
    assert np.array_equal(imresize(picture, 0.5), expected)


@pytest.mark.parametrize("scale", [1 / 3, 2])
def test_threads_share_a_large_picture(scale):
    """Many callers at once, each with helper threads, compared with small crops resized by one thread."""
    large = np.random.default_rng(1).integers(0, 256, (600, 900, 3), np.uint8)
    with ThreadPoolExecutor(8) as callers:
        results = list(callers.map(lambda _: imresize(large, scale), range(16)))
    for y in range(0, 570, 30):
        rows = slice(max(y - 30, 0), y + 60)  # 30 px more on each side than is compared
        inside = slice(int((y - rows.start) * scale), int((y - rows.start + 30) * scale))
        part = imresize(large[rows, :96], scale)[inside, : int(60 * scale)]
        for result in results:
            assert np.array_equal(result[int(y * scale) : int((y + 30) * scale), : int(60 * scale)], part)


RESIZE_TWICE = """
import os, sys
import numpy as np
from resize import imresize
picture = np.random.default_rng(0).integers(0, 256, (600, 900, 3), np.uint8)
first = imresize(picture, 0.5)
child = os.fork() if sys.argv[1:] == ["fork"] else 0
assert np.array_equal(imresize(picture, 0.5), first)
if sys.argv[1:] == ["fork"]:
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
print("the same", int(first.sum()))
"""


def resize_elsewhere(folder: Path, *arguments: str) -> str:
    """Run a copy of resize.py in a separate process, with all caches below ``folder``."""
    shutil.copy(resize.__file__, folder)
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME"), str(folder / "home"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    process = subprocess.run(
        [sys.executable, "-c", RESIZE_TWICE, *arguments],
        cwd=folder, env=kept | places, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return process.stdout


@pytest.mark.slow
def test_a_forked_process_resizes_too(tmp_path):
    assert resize_elsewhere(tmp_path, "fork").startswith("the same")


@pytest.mark.slow
def test_machine_code_is_kept_where_it_can_be(tmp_path):
    (tmp_path / "free").mkdir()
    (tmp_path / "full").mkdir()
    for name in ("__pycache__", "home"):  # files, where folders would be made
        (tmp_path / "full" / name).touch()
    assert resize_elsewhere(tmp_path / "free") == resize_elsewhere(tmp_path / "full")
    assert list((tmp_path / "free" / "__pycache__").glob("resize._sum_lines*.nbc"))
    assert not list((tmp_path / "full").rglob("*.nbc"))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats_are_neither_rounded_nor_clipped(kind):
    step = np.zeros((1, 16), kind)
    step[:, 8:] = 1
    wide = imresize(step, shape=(1, 32))
    assert wide.dtype == kind
    assert wide.min() < 0
    assert wide.max() > 1
    assert np.abs(wide.astype(np.float64).sum() - 16) < 1e-4


def test_a_flat_picture_stays_flat():
    flat = np.full((31, 17, 3), 77, np.uint8)
    for scale in (0.3, 0.5, 1.7, 3):
        assert (imresize(flat, scale) == 77).all()


def test_sides_are_rounded_up():
    assert imresize(np.zeros((5, 7), np.uint8), 0.5).shape == (3, 4)
    assert crop_to_multiple(np.zeros((5, 7, 3), np.uint8), 2).shape == (4, 6, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either scale or shape"),
        ({"scale": 2, "shape": (4, 4)}, "either scale or shape"),
        ({"scale": 0}, "the result is empty"),
        ({"shape": (0, 5)}, "the result is empty"),
    ],
)
def test_impossible_sizes(arguments, message):
    with pytest.raises(ValueError, match=message):
        imresize(np.zeros((8, 8), np.uint8), **arguments)


def test_other_numbers_are_refused():
    with pytest.raises(ValueError, match="got int64"):
        imresize(np.zeros((8, 8), np.int64), 0.5)
