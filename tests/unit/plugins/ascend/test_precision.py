"""Each level uses float16 exactly where it is documented, and does not change the model itself."""

import itertools

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from srtrain_plugins.ascend.precision import MixedPrecision

from srtrain.device import PRECISIONS
from srtrain.device.precision import Precision
from srtrain.errors import RecipeError
from srtrain.models.twin import twin
from srtrain.models.upscale import Upscaler
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.step import TrainStep

LEVELS = ("O1", "O2", "O3", "auto")
RNG = np.random.default_rng(5)
LQ = RNG.integers(0, 256, (2, 3, 8, 8)).astype(np.float32)
GT = RNG.integers(0, 256, (2, 3, 16, 16)).astype(np.float32)


class Conv(nn.Conv2d):
    """A convolution that records its dtype; works in PyNative mode only."""

    def __init__(self):
        super().__init__(3, 3, 1, has_bias=True)
        self.seen = []

    def construct(self, x):
        y = super().construct(x)
        self.seen.append(str(y.dtype))
        return y


class Add(nn.Cell):
    """The same for an addition."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def construct(self, x):
        y = x + 1.5
        self.seen.append(str(y.dtype))
        return y


class Net(nn.Cell):
    def __init__(self, normalise=False):
        super().__init__()
        self.first = Conv()
        self.inner = nn.SequentialCell([Add(), Conv(), *([nn.BatchNorm2d(3)] if normalise else [])])
        self.last = Add()

    def construct(self, x):
        return self.last(self.inner(self.first(x)))


def types_in(level, model=None, **arguments):
    """Return the dtypes in which Net computes at a level: first, sum, inner convolution, last sum, output."""
    network = PRECISIONS.build(level, **arguments).prepare(model or Net())
    out = network(ms.Tensor(LQ))
    cells = {}
    for _, cell in network.cells_and_names():
        if isinstance(cell, (Conv, Add)):
            cells.setdefault(type(cell).__name__, []).append(cell.seen[-1])
    return [cells["Conv"][0], cells["Add"][0], cells["Conv"][1], cells["Add"][1], str(out.dtype)]


F16, F32 = "Float16", "Float32"


@pytest.mark.usefixtures("pynative")
@pytest.mark.parametrize(
    ("level", "arguments", "types"),
    [
        ("O0", {}, [F32, F32, F32, F32, F32]),
        ("O1", {}, [F16, F32, F16, F32, F32]),
        ("O1", {"float16": ("Add",)}, [F16, F16, F16, F16, F32]),
        ("O2", {}, [F16, F16, F16, F16, F32]),
        ("O2", {"float32": ("Add",)}, [F16, F32, F16, F32, F32]),
        ("O2", {"float32": ("Conv",)}, [F32, F16, F32, F16, F32]),
        ("O3", {}, [F16, F16, F16, F16, F32]),
    ],
)
def test_what_is_in_float16(level, arguments, types):
    assert types_in(level, **arguments) == types


@pytest.mark.slow
@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("level", LEVELS)
def test_the_model_itself_stays_float32_and_shares_its_weights(level, new_model):
    model, again = new_model(), new_model()
    network = PRECISIONS.build(level).prepare(model)
    shared = {p.name: p for p in network.get_parameters()}
    assert shared.keys() == {p.name for p in model.get_parameters()}
    assert all(shared[p.name] is p for p in model.get_parameters())
    exact = Upscaler(again)(LQ[:1])
    np.testing.assert_array_equal(Upscaler(model)(LQ[:1]), exact)
    rounded = network(ms.Tensor(LQ[:1]))
    assert rounded.dtype == ms.float32
    assert 0 < np.abs(rounded.asnumpy() - exact).max() < 1


@pytest.mark.slow
@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("level", LEVELS)
def test_training_follows_float32(level, new_model, weights_of):
    def train(precision):
        model = new_model()
        optimizer = build_optimizer("sgd", list(model.trainable_params()), 1e-4)
        step = TrainStep(model, L1(), optimizer, precision=precision)
        return [float(step(ms.Tensor(LQ), ms.Tensor(GT))) for _ in range(4)], weights_of(model), step

    losses, weights, _ = train(Precision())
    lower, lower_weights, step = train(PRECISIONS.build(level, loss_scale=1024.0))
    assert step.guard.read().n_skipped == 0
    assert lower != losses
    assert lower == pytest.approx(losses, rel=2e-3)
    start = weights_of(new_model())
    for name, value in weights.items():
        moved = np.abs(value - start[name]).max()
        assert moved > 0
        assert np.abs(lower_weights[name] - value).max() < 0.05 * moved + 1e-6


@pytest.mark.slow
@pytest.mark.usefixtures("graph")
def test_a_dynamic_scale_halves_until_nothing_overflows_and_grows_again(new_model):
    model = new_model()
    optimizer = build_optimizer("sgd", list(model.trainable_params()), 1e-4)
    precision = PRECISIONS.build("O2", loss_scale="dynamic", window=3)
    step = TrainStep(model, L1(), optimizer, precision=precision)
    scales, skipped = [precision.loss_scale()], [0]
    for _ in range(12):
        step(ms.Tensor(LQ), ms.Tensor(GT))
        scales.append(precision.loss_scale())
        skipped.append(step.guard.read().n_overflows)
    for i in range(12):
        assert scales[i + 1] == scales[i] / 2 if skipped[i + 1] > skipped[i] else scales[i + 1] >= scales[i]
    assert 0 < skipped[-1] < 8
    assert max(after / before for before, after in itertools.pairwise(scales)) == 2
    assert step.guard.read().n_bad == 0


@pytest.mark.usefixtures("pynative")
def test_o2_keeps_normalisation_in_float32_and_o3_refuses_it():
    model = Net(normalise=True)
    assert types_in("O2", model) == [F16, F16, F16, F16, F32]
    kept = PRECISIONS.build("O2").prepare(model)
    norm = next(cell for _, cell in kept.cells_and_names() if isinstance(cell, nn.BatchNorm2d))
    assert norm.fp32
    assert not getattr(norm, "fp16", False)
    with pytest.raises(RecipeError) as caught:
        PRECISIONS.build("O3").prepare(model)
    assert str(caught.value) == (
        "precision = 'O3' runs every layer in float16, and Net has BatchNorm2d, whose means and variances need "
        "float32. Use precision=O2, which keeps these layers in float32. O3 is for networks without normalisation, "
        "such as EDSR."
    )


def test_a_twin_has_the_very_parameters_and_cells_of_its_own(new_model):
    model = new_model()
    copied = twin(model)
    assert copied is not model
    pairs = list(zip(model.cells_and_names(), copied.cells_and_names(), strict=True))
    assert len(pairs) > 8
    assert all(one is not other for (_, one), (_, other) in pairs)
    assert [id(p) for p in model.get_parameters()] == [id(p) for p in copied.get_parameters()]


@pytest.mark.parametrize("level", ["O1", "O2"])
def test_a_class_that_the_network_does_not_have_is_refused(level, new_model):
    key = "float16" if level == "O1" else "float32"
    with pytest.raises(RecipeError) as caught:
        PRECISIONS.build(level, **{key: ("MeanShifd",)}).prepare(new_model())
    assert str(caught.value) == (
        f"precision.{key} = ('MeanShifd',): EDSR has no cell of a class 'MeanShifd'. Did you mean 'MeanShift'? It has: "
        "Conv2d, MeanShift, PixelShuffle, ResidualBlock, SequentialCell, Upsampler."
    )


@pytest.mark.parametrize("scale", [0, 0.5, -1, float("inf"), float("nan"), "dynamo"])
def test_a_scale_that_scales_nothing_is_refused(scale):
    with pytest.raises(RecipeError) as caught:
        PRECISIONS.build("O2", loss_scale=scale)
    assert str(caught.value) == f"precision.loss_scale = {scale!r} must be a number from 1 up or 'dynamic'."


def test_a_window_of_no_updates_is_refused():
    with pytest.raises(RecipeError, match=r"^precision\.window = 0 must be 1 or more updates\.$"):
        PRECISIONS.build("O2", loss_scale="dynamic", window=0)


def test_the_state_of_a_dynamic_scale_is_what_moves():
    dynamic, static = PRECISIONS.build("O3", loss_scale="dynamic"), PRECISIONS.build("O3", loss_scale=8.0)
    assert sorted(dynamic.state()) == ["loss_scale.counter", "loss_scale.value"]
    assert dynamic.loss_scale() == 2**16
    assert isinstance(dynamic, MixedPrecision)
    assert static.state() == {}
    assert static.loss_scale() == 8


def test_o0_is_float32():
    assert type(PRECISIONS.build("O0")) is Precision


@pytest.mark.usefixtures("pynative")
def test_bfloat16_rounds_operands_and_results_of_convolutions_on_a_cpu(new_model):
    """Compared with float32 arithmetic on values whose low 16 bits are rounded away by NumPy."""

    def round16(x):
        bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)

    conv = nn.Conv2d(3, 2, 1, has_bias=True, weight_init="normal", bias_init="normal")
    network = PRECISIONS.build("O1", dtype="bfloat16").prepare(nn.SequentialCell([conv]))
    found = network(ms.Tensor(LQ)).asnumpy()
    weight, bias = round16(conv.weight.asnumpy())[:, :, 0, 0], round16(conv.bias.asnumpy())
    exact = np.einsum("nchw,oc->nohw", round16(LQ), weight) + bias[:, None, None]
    np.testing.assert_array_equal(found, round16(found))
    assert np.abs(found - exact).max() <= np.abs(exact).max() / 256
    assert np.abs(found - exact).max() > 0


def test_bfloat16_needs_no_loss_scale():
    assert PRECISIONS.build("O1", dtype="bfloat16").scaler is None
    assert PRECISIONS.build("O1", dtype="bfloat16").loss_scale() == 1
    assert PRECISIONS.build("O1", dtype="bfloat16", loss_scale=8.0).loss_scale() == 8
    assert PRECISIONS.build("O1").loss_scale() == 1000


@pytest.mark.parametrize("level", ["O2", "O3", "auto"])
def test_a_cpu_has_no_operators_in_bfloat16(level, new_model):
    with pytest.raises(
        RecipeError, match=r"^precision\.dtype = 'bfloat16': MindSpore's CPU has no operators"
    ):
        PRECISIONS.build(level, dtype="bfloat16").prepare(new_model())


def test_an_unknown_dtype_is_refused():
    with pytest.raises(
        RecipeError, match=r"^precision\.dtype = 'bf16' is not one of 'bfloat16', 'float16'\."
    ):
        PRECISIONS.build("O2", dtype="bf16")
