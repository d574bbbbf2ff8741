"""The check of an exported file fails if the file is wrong."""

import numpy as np
import pytest

from srtrain.errors import ExportError
from srtrain.export.check import compare, inputs
from srtrain.export.options import Options


def enlarge(lq):
    return lq.repeat(2, 2).repeat(2, 3)


def test_the_sizes_are_tiny_odd_not_square_and_several_at_once():
    shapes = [lq.shape for lq in inputs(Options())]
    assert (1, 3, 1, 1) in shapes
    assert any(n > 1 for n, *_ in shapes)
    assert any(height % 2 and width % 2 and height != width for _, _, height, width in shapes)
    assert all(lq.min() >= 0 and lq.max() <= 255 and lq.dtype == np.float32 for lq in inputs(Options()))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(input_px=(6, 4)), [(1, 3, 6, 4), (2, 3, 6, 4)]),
        (Options(input_px=(6, 4), batch=3), [(3, 3, 6, 4)]),
        (Options(batch=3), [(3, 3, 1, 1), (3, 3, 7, 5), (3, 3, 9, 16), (3, 3, 45, 34)]),
    ],
)
def test_fixed_sizes_are_kept(options, expected):
    assert [lq.shape for lq in inputs(options)] == expected


def test_equal_functions_do_not_differ():
    difference = compare(enlarge, enlarge, Options())
    assert (difference.largest, difference.within()) == (0, True)
    assert difference.shapes == ((1, 1, 1), (1, 7, 5), (2, 9, 16), (1, 45, 34))


@pytest.mark.parametrize(
    ("error", "passes"), [(0.0009, True), (0.0011, False), (np.nan, False), (np.inf, False)]
)
def test_one_wrong_value_at_one_size_is_found(error, passes):
    def candidate(lq):
        out = enlarge(lq).astype(np.float64)
        if lq.shape[2] == 9:
            out[1, 2, -1, -1] += error
        return out

    difference = compare(enlarge, candidate, Options())
    assert difference.within() is passes
    np.testing.assert_allclose(difference.largest, error, rtol=1e-3)


def test_beyond_the_range_of_pictures_rounding_grows_in_proportion():
    assert compare(lambda lq: enlarge(lq) + 255_000, lambda lq: enlarge(lq) + 255_000.5, Options()).within()
    assert not compare(lambda lq: enlarge(lq) + 255_000, lambda lq: enlarge(lq) + 255_002, Options()).within()


def test_another_shape_and_a_failure_are_told_from_a_difference():
    with pytest.raises(
        ExportError, match=r"\(1, 7, 5\), .* returns the shape \(1, 3, 2, 2\) instead of \(1, 3, 14, 10\)"
    ):
        compare(enlarge, lambda lq: enlarge(lq[:, :, :1, :1]), Options())

    def fails(lq):
        raise RuntimeError("no")

    with pytest.raises(ExportError, match=r"fails for \(batch, height, width\) = \(1, 1, 1\): no"):
        compare(enlarge, fails, Options())
