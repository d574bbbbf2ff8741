"""Bilinear interpolation to the size of another feature map."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.models.blocks import ResizeLike


def along(x, axis, size):
    """Interpolate linearly between the centres of pixels, as PyTorch does without aligned corners."""
    places = np.clip((np.arange(size) + 0.5) * x.shape[axis] / size - 0.5, 0, x.shape[axis] - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    shape = [1] * x.ndim
    shape[axis] = size
    share = (places - low).reshape(shape)
    return np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share


@pytest.mark.parametrize(("small", "large"), [((2, 3), (9, 7)), ((1, 1), (4, 5)), ((4, 4), (4, 4))])
def test_it_is_the_interpolation_of_pytorch(random, pynative, small, large):
    x = random(2, 3, *small)
    got = ResizeLike()(ms.Tensor(x), ms.Tensor(random(2, 3, *large))).asnumpy()
    np.testing.assert_allclose(got, along(along(x, 2, large[0]), 3, large[1]), atol=1e-5)
