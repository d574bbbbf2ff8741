"""ESRN: counts by two independent ways, widths and sizes."""

import math

import mindspore as ms
import numpy as np
import pytest

from srtrain.errors import RecipeError
from srtrain.models import MODELS
from srtrain.models.count import count, n_parameters
from srtrain.models.esrn import ESRN, EXAMPLE, BlockKind
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.models.parameters import put
from srtrain.models.receptive import receptive_px, size_multiple
from srtrain.models.upscale import Upscaler
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.step import TrainStep

SMALL = ("S_2_8_16", "G_3_8_8", "C_2_8_16")


def arithmetic(names, n_feats, scale):
    """Count from the description of the network: (weights, biases, multi-adds for each pixel of the input)."""
    weights = biases = work = 0

    def conv(n_in, n_out, px=3, groups=1, area=1.0, times=1):
        nonlocal weights, biases, work
        weights += n_in * n_out * px * px // groups
        biases += n_out
        work += times * area * n_in * n_out * px * px // groups

    conv(3, n_feats)
    conv(n_feats, n_feats)
    i = n_feats
    for name in names:
        kind, n, g, o = name.split("_")[0], *map(int, name.split("_")[1:])
        if i != g:
            conv(i, g, 1)
        if kind == "G":
            for c in range(1, n + 1):
                conv(c * g, g, groups=min(4, 2 ** int(math.log2(c))))
            conv((n + 1) * g, o, 1)
        else:
            area, times = (0.25, 3) if kind == "C" else (1.0, 1)
            for c in range(1, n + 1):
                conv(g, g, area=area, times=times)
                if c < n:
                    conv((c + 1) * g, g, 1, area=area)
            conv((n + 1) * g // (4 if kind == "C" else 1), o, 1)
        if o not in (i, g):
            conv(i, o, 1)
        i = o
    conv(sum(int(name.split("_")[3]) for name in names), n_feats, 1)
    conv(n_feats, n_feats)
    if scale == 4:
        conv(n_feats, 4 * n_feats)
        conv(n_feats, 4 * n_feats, area=4)
        conv(n_feats, 3, area=16)
    else:
        conv(n_feats, 24 * scale**2)
        conv(24, 3, area=scale**2)
    return weights, biases, work


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("names", [EXAMPLE, SMALL, ("C_4_16_32", "S_1_32_32", "G_1_32_24")])
def test_what_is_built_is_what_is_described(pynative, names, scale):
    weights, biases, work = arithmetic(names, 32, scale)
    cost = count(ESRN(scale, names), scale)
    assert cost.n_parameters == weights + biases
    assert cost.multi_adds == round(work * 1280 * 720 / scale**2)


def test_the_authors_example_has_the_published_number_of_parameters():
    model = ESRN(2)
    assert n_parameters(model) == 520_595
    biases = sum(p.size for p in model.trainable_params() if p.name.endswith("bias"))
    assert 520_595 - biases == 516_488


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 6), (5, 12)])
def test_any_size_comes_out_at_the_scale(pynative, scale, size):
    lq = np.random.default_rng(0).uniform(0, 255, (2, 3, *size)).astype(np.float32)
    sr = ESRN(scale, SMALL, n_feats=8)(ms.Tensor(lq)).asnumpy()
    assert sr.shape == (2, 3, scale * size[0], scale * size[1])
    assert np.isfinite(sr).all()


def test_odd_sides_repeat_the_last_row_and_column(pynative):
    model = ESRN(2, SMALL, n_feats=8)
    lq = np.random.default_rng(0).uniform(0, 255, (1, 3, 7, 9)).astype(np.float32)
    padded = np.pad(lq, ((0, 0), (0, 0), (0, 1), (0, 1)), "edge")
    np.testing.assert_array_equal(
        model(ms.Tensor(lq)).asnumpy(), model(ms.Tensor(padded)).asnumpy()[:, :, :14, :18]
    )


@pytest.mark.slow
def test_one_graph_takes_all_sizes(graph):
    model = ESRN(2, SMALL, n_feats=8)
    upscale = Upscaler(model)
    sizes = [upscale(np.ones((1, 3, *size), np.float32)).shape[2:] for size in ((6, 8), (7, 9), (1, 2))]
    assert sizes == [(12, 16), (14, 18), (2, 4)]


@pytest.mark.parametrize(
    ("blocks", "radius"),
    [(("S_2_4_4",), 7), (("G_3_4_4",), 8), (("C_1_4_4",), 12), (("C_1_4_4", "S_1_4_4"), 13)],
)
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_it_looks_as_far_as_it_says(pynative, blocks, radius, scale):
    radius -= scale == 1  # without the convolution before the shuffle
    args = {"blocks": blocks, "n_feats": 4, "rgb_mean": (0.0, 0.0, 0.0)}
    assert receptive_px({"model": "esrn", "scale": scale, "model_args": args}) == radius
    model = ESRN(scale, **args)
    for parameter in model.trainable_params():
        put(parameter, np.full(parameter.shape, 0.0 if parameter.name.endswith("bias") else 0.5, np.float32))
    reach = []
    side = 2 * radius + 8
    for far in (radius + 3, radius + 4):  # one of each parity: a half has two places in its square
        lq = np.zeros((1, 3, side, side), np.float32)
        lq[..., far, far] = 255
        lit = np.argwhere(Upscaler(model)(lq)[0, 0] > 0) // scale - far
        reach.append(int(np.abs(lit).max()))
    assert max(reach) == radius


def test_tiles_begin_where_its_squares_do():
    args = {"blocks": ("S_2_8_8", "C_2_8_8")}
    assert size_multiple({"model": "esrn", "scale": 2, "model_args": args}) == 2
    assert size_multiple({"model": "esrn", "scale": 2, "model_args": {"blocks": ("S_2_8_8",)}}) == 1
    assert size_multiple({"model": "edsr", "scale": 2}) == 1
    assert size_multiple({"size_multiple": 2}) == 2


@pytest.mark.slow
def test_it_learns(graph):
    model = ESRN(2, SMALL, n_feats=8)
    initialise(model, kaiming_uniform(), seed=1)
    update = TrainStep(model, L1(), build_optimizer("adam", list(model.trainable_params()), 2e-3))
    generator = np.random.default_rng(0)
    gt = generator.uniform(0, 255, (2, 3, 16, 16)).astype(np.float32)
    lq = gt.reshape(2, 3, 8, 2, 8, 2).mean(axis=(3, 5))
    losses = [float(update(ms.Tensor(lq), ms.Tensor(gt))) for _ in range(30)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "S_8_16",
            "'S_8_16' is not the name of a block. Write TYPE_CONVOLUTIONS_GROWTH_OUTPUT, such as S_8_16_32.",
        ),
        ("S_0_16_32", "'S_0_16_32' is not the name of a block"),
        ("Q_8_16_32", "no block is registered as 'Q'. Registered: .*C, G.*S"),
    ],
)
def test_a_name_that_is_none_says_what_one_is(name, says):
    with pytest.raises(RecipeError, match=says):
        BlockKind.parse(name)


def test_mistakes_in_a_recipe_are_said():
    with pytest.raises(RecipeError, match=r"at least one block, but model\.blocks is empty"):
        ESRN(2, ())
    with pytest.raises(RecipeError, match="scale = 5 is not one of 1, 2, 3, 4"):
        ESRN(5, SMALL)


def test_it_is_registered_with_the_example_as_its_default():
    assert MODELS.get("esrn") is ESRN
    assert len(EXAMPLE) == 17
    assert str(BlockKind.parse("C_8_16_48")) == "C_8_16_48"
