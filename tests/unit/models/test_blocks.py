"""Layers against NumPy and against MindSpore's own operators."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import ops

from srtrain.errors import RecipeError
from srtrain.models.blocks import (
    DIV2K_MEAN,
    MeanShift,
    PixelShuffle,
    ResidualBlock,
    Upsampler,
    conv,
)
from srtrain.models.count import n_parameters

pytestmark = pytest.mark.usefixtures("pynative")
RNG = np.random.default_rng(3)


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_pixel_shuffle_is_depth_to_space(factor):
    x = ms.Tensor(random(2, 5 * factor * factor, 4, 7))
    ours = PixelShuffle(factor)(x).asnumpy()
    assert ours.shape == (2, 5, 4 * factor, 7 * factor)
    np.testing.assert_array_equal(ours, ops.DepthToSpace(factor)(x).asnumpy())


def test_pixel_shuffle_takes_the_channels_in_dcr_order():
    x = random(1, 8, 3, 2)
    out = PixelShuffle(2)(ms.Tensor(x)).asnumpy()
    for c, y, i, z, j in np.ndindex(2, 3, 2, 2, 2):
        assert out[0, c, 2 * y + i, 2 * z + j] == x[0, (i * 2 + j) * 2 + c, y, z]


@pytest.mark.parametrize("sign", [1, -1])
def test_mean_shift_moves_each_channel_by_its_mean(sign):
    x = random(2, 3, 2, 2)
    shifted = MeanShift((0.1, 0.2, 0.3), sign)(ms.Tensor(x)).asnumpy()
    expected = x + sign * 255 * np.float32([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(shifted, expected, rtol=1e-6)


def test_mean_shift_keeps_half_precision():
    assert MeanShift(DIV2K_MEAN, 1)(ms.Tensor(random(1, 3, 2, 2), ms.float16)).dtype == ms.float16


def test_mean_shift_is_no_parameter():
    assert n_parameters(MeanShift(DIV2K_MEAN, 1)) == 0


@pytest.mark.parametrize("res_scale", [1.0, 0.1])
def test_residual_block(res_scale):
    block = ResidualBlock(4, res_scale=res_scale)
    x = ms.Tensor(random(2, 4, 6, 5))
    branch = block.conv2(ops.relu(block.conv1(x))).asnumpy()
    assert np.abs(branch).max() > 1e-3
    np.testing.assert_allclose(block(x).asnumpy(), x.asnumpy() + res_scale * branch, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel_px", [1, 3, 5])
def test_conv_keeps_height_and_width_and_has_a_bias(kernel_px):
    layer = conv(2, 6, kernel_px)
    assert layer(ms.Tensor(random(1, 2, 5, 7))).shape == (1, 6, 5, 7)
    assert n_parameters(layer) == 2 * 6 * kernel_px**2 + 6


def test_conv_in_groups():
    assert n_parameters(conv(4, 8, 3, groups=4)) == 8 * 9 + 8


@pytest.mark.parametrize(("scale", "n_convs"), [(2, 1), (3, 1), (4, 2)])
def test_upsampler(scale, n_convs):
    layer = Upsampler(scale, 4)
    assert layer(ms.Tensor(random(1, 4, 3, 5))).shape == (1, 4, 3 * scale, 5 * scale)
    per_stage = {2: 16, 3: 36, 4: 16}[scale]
    assert n_parameters(layer) == n_convs * (4 * per_stage * 9 + per_stage)


@pytest.mark.parametrize("scale", [1, 5, 8, "2"])
def test_another_scale_is_refused(scale):
    with pytest.raises(RecipeError) as caught:
        Upsampler(scale, 4)
    assert str(caught.value) == f"scale = {scale!r} is not one of 2, 3, 4."
