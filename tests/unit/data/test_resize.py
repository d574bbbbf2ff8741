"""MATLAB's imresize: against its own files where they are, and against vectors worked out by hand."""

from fractions import Fraction

import numpy as np
import pytest

from srtrain.data.picture import read_rgb
from srtrain.data.resize import imresize
from srtrain.registry import DATASETS


def exact_line(values, n_out, factor):
    """The definition in exact fractions, one output pixel at a time: an independent second opinion."""

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
