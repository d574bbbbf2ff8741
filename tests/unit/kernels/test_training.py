"""Training with the library: MindSpore's own updates, and the same bits for any number of threads."""

import copy

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from srtrain.kernels.forms import is_supported
from srtrain.kernels.library import load_library
from srtrain.kernels.training import FastCell, fast_twin
from srtrain.models.blocks import ContextBlock, GroupBlock, ResidualBlock, ShrinkBlock, conv
from srtrain.models.edsr import EDSR
from srtrain.models.esrn import ESRN
from srtrain.models.initialise import initialise, kaiming_uniform
from srtrain.models.rdn import RDN
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.step import TrainStep

pytestmark = pytest.mark.slow

LIMITS = {"f23": 1e-5, "f43": 1e-4}


def tensors(*shapes, seed=0):
    generator = np.random.default_rng(seed)
    return [ms.Tensor(generator.standard_normal(shape).astype(np.float32)) for shape in shapes]


def gradients(cell, x, weighting):
    """Return an output, and the gradients of its weighted sum with respect to input, weight and bias."""

    def weighted(x):
        out = cell(x)
        return (out * weighting).sum(), out

    function = ms.value_and_grad(weighted, 0, cell.trainable_params(), has_aux=True)
    (_, out), (dx, rest) = function(x)
    return [array.asnumpy() for array in (out, dx, *rest)]


@pytest.mark.parametrize("method", ["f23", "f43"])
@pytest.mark.parametrize(
    ("n_in", "n_out", "shape"),
    [(3, 16, (2, 3, 9, 6)), (24, 3, (1, 24, 5, 5)), (64, 70, (3, 64, 4, 11)), (1, 1, (1, 1, 1, 1))],
)
def test_output_and_gradients_are_those_of_mindspore(graph, n_in, n_out, shape, method):
    plain = conv(n_in, n_out)
    fast, n_fast = fast_twin(plain, method)
    assert n_fast == 1
    assert isinstance(fast, FastCell)
    x, weighting = tensors(shape, (shape[0], n_out, *shape[2:]))
    for got, wanted in zip(gradients(fast, x, weighting), gradients(plain, x, weighting), strict=True):
        assert np.abs(got - wanted).max() <= LIMITS[method] * np.abs(wanted).max()


CELLS = {
    "1x1": (lambda: conv(12, 20, 1), 12, 1),
    "in groups": (lambda: conv(16, 16, groups=4), 16, 1),
    "residual block": (lambda: ResidualBlock(12, res_scale=0.1), 12, 1),
    "EDSR x2": (lambda: EDSR(2, 2, 12), 3, 2),
    "EDSR x3": (lambda: EDSR(3, 1, 16), 3, 3),
    "EDSR x4": (lambda: EDSR(4, 1, 8, res_scale=0.5), 3, 4),
    "S, residual": (lambda: ShrinkBlock(16, 3, 8, 24), 16, 1),
    "S, keeps the input": (lambda: ShrinkBlock(16, 3, 8, 16), 16, 1),
    "S, does not enter": (lambda: ShrinkBlock(16, 2, 16, 24), 16, 1),
    "S, keeps what entered": (lambda: ShrinkBlock(8, 2, 16, 16), 8, 1),
    "S, growth 24": (lambda: ShrinkBlock(16, 2, 24, 32), 16, 1),
    "S, growth 12": (lambda: ShrinkBlock(16, 2, 12, 16), 16, 1),
    "G": (lambda: GroupBlock(16, 5, 16, 24), 16, 1),
    "G, growth 8": (lambda: GroupBlock(16, 4, 8, 8), 16, 1),
    "G, growth 32": (lambda: GroupBlock(16, 2, 32, 16), 16, 1),
    "C": (lambda: ContextBlock(16, 2, 16, 24), 16, 1),
    "C, keeps the input": (lambda: ContextBlock(24, 2, 8, 24), 24, 1),
    "C, keeps what entered": (lambda: ContextBlock(24, 3, 8, 8), 24, 1),
    "ESRN x2": (lambda: ESRN(2, ("S_2_16_32", "G_4_8_16", "C_2_16_16")), 3, 2),
    "RDN x2": (lambda: RDN(2, n_blocks=2, n_convs=3, growth=8, n_feats=16), 3, 2),
    "EDSR, normalised": (lambda: EDSR(2, 1, 8, zoo_normalisation=True), 3, 2),
    "EDSR, grey": (lambda: EDSR(2, 1, 8, n_colors=1, rgb_range=2.0), 1, 2),
    "ESRN x3": (lambda: ESRN(3, ("G_2_24_24", "S_2_8_16")), 3, 3),
}


@pytest.mark.parametrize("name", CELLS)
def test_programs_and_their_gradients_are_those_of_mindspore(graph, name):
    make, n_in, scale = CELLS[name]
    plain = make()
    initialise(plain, kaiming_uniform(), 1)
    for number, parameter in enumerate(plain.trainable_params()):
        if parameter.name.endswith("bias"):
            parameter.set_data(tensors(parameter.shape, seed=number)[0] * 0.3)
    fast, n_fast = fast_twin(plain, "f43")
    assert n_fast == sum(isinstance(cell, nn.Conv2d) for _, cell in plain.cells_and_names())
    assert isinstance(fast, FastCell) or "growth 12" in name  # 12 channels are no whole vectors
    x = tensors((3, n_in, 14, 10))[0] * (100 if n_in == 3 else 1)
    (weighting,) = tensors((3, plain(x).shape[1], 14 * scale, 10 * scale), seed=1)
    for got, wanted in zip(gradients(fast, x, weighting), gradients(plain, x, weighting), strict=True):
        assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_a_network_that_halves_takes_mindspores_way_at_odd_sizes(graph):
    plain = ESRN(2, ("C_2_16_16",))
    fast, _ = fast_twin(plain, "f43")
    (x,) = tensors((1, 3, 7, 9))
    assert np.array_equal(fast(x).asnumpy(), plain(x).asnumpy())


class Squeeze(nn.Cell):
    """A cell that the library does not know, around one that it knows."""

    def __init__(self):
        super().__init__()
        self.inner = conv(4, 4)

    def construct(self, x):
        return self.inner(x).mean((2, 3), keep_dims=True) * x


def test_the_convolutions_of_an_unknown_cell_are_fast(graph):
    plain = nn.SequentialCell([conv(3, 4), Squeeze()])
    fast, n_fast = fast_twin(plain, "f43")
    assert n_fast == 2
    assert not isinstance(fast, FastCell)
    assert isinstance(fast[1].inner, FastCell)
    (x,) = tensors((1, 3, 6, 5))
    np.testing.assert_allclose(fast(x).asnumpy(), plain(x).asnumpy(), atol=1e-5)


def test_gradients_are_those_of_finite_differences(pynative):
    """Central differences of a sum in float64, one weight at a time: no other convolution is involved."""
    fast, _ = fast_twin(conv(2, 3), "f43")
    x, weighting = tensors((1, 2, 5, 4), (1, 3, 5, 4))
    _, dx, dweight, dbias = gradients(fast, x, weighting)

    def sum_with(array, index, step):
        moved = array.asnumpy().copy()
        moved[index] += step
        before = array.asnumpy().copy()
        array.set_data(ms.Tensor(moved))
        out = fast(x).asnumpy().astype(np.float64)
        array.set_data(ms.Tensor(before))
        return float((out * weighting.asnumpy()).sum())

    for array, found in ((x, dx), (fast.weight, dweight), (fast.bias, dbias)):
        array = array if isinstance(array, ms.Parameter) else ms.Parameter(array, name="x")
        x = array if array.name == "x" else x
        for index in list(np.ndindex(*found.shape))[:: max(1, found.size // 12)]:
            difference = (sum_with(array, index, 0.5) - sum_with(array, index, -0.5)) / 1.0
            assert difference == pytest.approx(found[index], abs=2e-3)


def test_a_twin_has_the_very_parameters_under_their_names(new_model):
    model = new_model(n_resblocks=2)
    fast, n_fast = fast_twin(model, "f43")
    assert n_fast == 8
    assert [p.name for p in fast.trainable_params()] == [p.name for p in model.trainable_params()]
    assert all(a is b for a, b in zip(fast.trainable_params(), model.trainable_params(), strict=True))
    assert not any(isinstance(cell, FastCell) for _, cell in model.cells_and_names())


def test_a_copy_of_a_twin_is_apart_from_it(pynative):
    fast, _ = fast_twin(conv(3, 4), "f43")
    (x,) = tensors((1, 3, 6, 6))
    before = fast(x).asnumpy()
    copied = copy.deepcopy(fast)
    copied.weight.set_data(ms.Tensor(np.zeros((4, 3, 3, 3), np.float32)))
    assert np.array_equal(fast(x).asnumpy(), before)
    np.testing.assert_allclose(copied(x).asnumpy()[0, :, 0, 0], fast.bias.asnumpy(), atol=1e-6)


@pytest.mark.parametrize(
    "cell",
    [
        conv(4, 4, 5),
        nn.Conv2d(4, 4, 3, stride=2, pad_mode="pad", padding=1, has_bias=True),
        nn.Conv2d(4, 4, 3, pad_mode="pad", padding=2, dilation=2, has_bias=True),
        nn.Conv2d(4, 4, 3, pad_mode="valid", has_bias=True),
        nn.Conv2d(4, 4, 3, pad_mode="pad", padding=1),
        nn.Conv2d(4, 4, 3, pad_mode="pad", padding=(1, 1, 0, 1), has_bias=True),
        nn.ReLU(),
    ],
)
def test_what_the_library_cannot_compute_stays_as_it_is(cell):
    assert not is_supported(cell)
    copied, n_fast = fast_twin(nn.SequentialCell([cell]), "f43")
    assert (n_fast, type(copied[0])) == (0, type(cell))


def test_same_padding_is_supported():
    assert is_supported(nn.Conv2d(4, 4, 3, pad_mode="same", has_bias=True))


def test_float16_takes_mindspores_way(graph):
    plain = conv(3, 4).to_float(ms.float16)
    fast, _ = fast_twin(plain, "f43")
    (x,) = tensors((1, 3, 8, 8))
    assert fast(x).dtype == ms.float16
    assert np.array_equal(fast(x).asnumpy(), plain(x).asnumpy())


def trained(method, n_threads=1, accumulate=1, n_steps=12):
    """Return losses and weights of a short training."""
    model = EDSR(2, 2, 12)
    initialise(model, kaiming_uniform(), 1)
    network = fast_twin(model, method, n_threads)[0] if method else model
    parameters = list(model.trainable_params())
    update = TrainStep(network, L1(), build_optimizer("adam", parameters, 1e-3), accumulate=accumulate)
    generator = np.random.default_rng(0)
    lq = generator.integers(0, 256, (4, 3, 10, 10)).astype(np.uint8)
    gt = lq.repeat(2, 2).repeat(2, 3)
    losses = [float(update(ms.Tensor(lq), ms.Tensor(gt))) for _ in range(n_steps)]
    return losses, [p.asnumpy() for p in parameters]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_updates_are_those_of_mindspore(graph, accumulate):
    wanted, _ = trained("", accumulate=accumulate)
    for method in ("f23", "f43"):
        losses, _ = trained(method, accumulate=accumulate)
        np.testing.assert_allclose(losses, wanted, rtol=2e-3)
        assert losses[-1] < 0.9 * losses[0]


def test_the_bits_do_not_depend_on_the_number_of_threads(graph):
    try:
        results = [trained("f43", n_threads) for n_threads in (1, 2, 3)]
    finally:
        load_library().set_threads(1)
    for losses, weights in results[1:]:
        assert losses == results[0][0]
        assert all(np.array_equal(a, b) for a, b in zip(weights, results[0][1], strict=True))
