"""EDSR is as in the paper: its counts, shapes, mean colour, and blocks by name."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from srtrain.errors import RecipeError, UnknownNameError
from srtrain.models import BLOCKS, MODELS
from srtrain.models.blocks import DIV2K_MEAN, ResidualBlock
from srtrain.models.count import n_parameters
from srtrain.models.edsr import EDSR

FULL = {"n_resblocks": 32, "n_feats": 256, "res_scale": 0.1}
RNG = np.random.default_rng(5)


@pytest.mark.parametrize(
    ("scale", "sizes", "count"),
    [
        (2, {}, 1_369_859),
        (3, {}, 1_554_499),
        (4, {}, 1_517_571),
        (2, FULL, 40_729_603),
        (3, FULL, 43_680_003),
        (4, FULL, 43_089_923),
    ],
)
def test_parameters_are_as_many_as_the_paper_says(scale, sizes, count):
    model = MODELS.build("edsr", scale=scale, **sizes)
    assert n_parameters(model) == count
    assert sum(int(np.prod(p.shape)) for p in model.get_parameters()) == count  # nothing else is stored


@pytest.mark.usefixtures("pynative")
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (12, 9)])
def test_the_output_is_scale_times_the_input_at_any_size(new_model, scale, size):
    lq = ms.Tensor((RNG.random((2, 3, *size)) * 255).astype(np.float32))
    sr = new_model(scale)(lq)
    assert sr.shape == (2, 3, size[0] * scale, size[1] * scale)
    assert sr.dtype == ms.float32


def with_weights(model, **values):
    """Set every weight to 0 except the named ones."""
    for name, parameter in model.parameters_dict().items():
        parameter.set_data(
            ms.Tensor(np.broadcast_to(np.float32(values.get(name, 0)), parameter.shape).copy())
        )
    return model


@pytest.mark.usefixtures("pynative")
def test_a_network_of_zeros_returns_the_mean_colour(new_model):
    lq = ms.Tensor((RNG.random((1, 3, 4, 4)) * 255).astype(np.float32))
    sr = with_weights(new_model())(lq).asnumpy()
    expected = 255 * np.float32(DIV2K_MEAN).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(sr, np.broadcast_to(expected, sr.shape), rtol=1e-6)


@pytest.mark.usefixtures("pynative")
def test_the_mean_colour_is_taken_off_the_input():
    model = EDSR(2, 1, 4, rgb_mean=(0.5, 0.25, 0.125))
    head = np.zeros((4, 3, 3, 3), np.float32)
    head[:3, :, 1, 1] = np.eye(3)  # the head passes RGB on; body and skip add nothing
    up = np.zeros((16, 4, 3, 3), np.float32)
    for position in range(4):
        up[position * 4 + np.arange(4), np.arange(4), 1, 1] = 1  # nearest neighbour
    tail = np.zeros((3, 4, 3, 3), np.float32)
    tail[:, :3, 1, 1] = 2 * np.eye(3)
    with_weights(model, **{"head.weight": head, "upsampler.0.weight": up, "tail.weight": tail})
    lq = (RNG.random((1, 3, 4, 5)) * 255).astype(np.float32)
    mean = 255 * np.float32([0.5, 0.25, 0.125]).reshape(1, 3, 1, 1)
    expected = (2 * (lq - mean) + mean).repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_allclose(model(ms.Tensor(lq)).asnumpy(), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.usefixtures("pynative")
def test_res_scale_reaches_every_block(new_model, weights_of):
    def output(res_scale):
        model = EDSR(2, 2, 4, res_scale=res_scale)
        for name, value in weights_of(new_model(n_resblocks=2)).items():
            model.parameters_dict()[name].set_data(ms.Tensor(value))
        assert [block.res_scale for block in model.body] == [res_scale] * 2
        return model(ms.Tensor(lq)).asnumpy()

    lq = (RNG.random((1, 3, 4, 5)) * 255).astype(np.float32)
    assert np.abs(output(1.0) - output(0.1)).max() > 0.1
    np.testing.assert_array_equal(output(0.1), output(0.1))


@pytest.mark.usefixtures("pynative")
def test_a_block_is_built_by_name_with_the_arguments_of_the_network():
    @BLOCKS.register("noting_block", replace=True)
    class Noting(nn.Cell):
        def __init__(self, n_feats, kernel_px, res_scale):
            super().__init__()
            self.built_with = (n_feats, kernel_px, res_scale)

        def construct(self, x):
            return x

    model = EDSR(2, n_resblocks=3, n_feats=6, res_scale=0.5, kernel_px=5, block="noting_block")
    assert [block.built_with for block in model.body] == [(6, 5, 0.5)] * 3
    assert model(ms.Tensor(np.zeros((1, 3, 4, 4), np.float32))).shape == (1, 3, 8, 8)
    assert all(isinstance(block, ResidualBlock) for block in EDSR(2, 1, 4).body)


def test_misspelt_arguments_and_blocks_are_refused():
    with pytest.raises(
        RecipeError, match=r"model 'edsr' takes no argument 'n_feat'\. Did you mean 'n_feats'\?"
    ):
        MODELS.build("edsr", scale=2, n_feat=4)
    with pytest.raises(
        UnknownNameError, match=r"there is no block named 'residul'\. Did you mean 'residual'\?"
    ):
        MODELS.build("edsr", scale=2, block="residul")
    with pytest.raises(RecipeError, match=r"scale = 8 is not one of 1, 2, 3, 4\."):
        MODELS.build("edsr", scale=8)


def test_only_the_upsampler_depends_on_the_scale():
    shapes = [{n: p.shape for n, p in EDSR(scale, 1, 4).parameters_dict().items()} for scale in (2, 3, 4)]
    for other in shapes[1:]:
        changed = {n for n in shapes[0].keys() | other.keys() if shapes[0].get(n) != other.get(n)}
        assert changed
        assert all(name.startswith(EDSR.scale_dependent) for name in changed)
