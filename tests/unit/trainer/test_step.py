"""One update, compared with NumPy and with MindSpore's own cells, with and without a loss scale."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import amp, nn, ops

from srtrain.device.precision import Precision
from srtrain.trainer.guard import WARM_UP, WINDOW
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.losses.mse import MSE
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.step import TrainStep

RNG = np.random.default_rng(11)
X = RNG.standard_normal((2, 3, 4, 4)).astype(np.float32)
Y = RNG.standard_normal((2, 3, 4, 4)).astype(np.float32)
START = np.float32([0.5, -1.0, 2.0])


class Gain(nn.Cell):
    """One weight per channel, so that the gradient can be written by hand."""

    def __init__(self):
        super().__init__()
        self.gain = ms.Parameter(ms.Tensor(START.reshape(1, 3, 1, 1)), name="gain")

    def construct(self, x):
        return x * self.gain


def l1_and_gradient(gain):
    d = X.astype(np.float64) * gain.reshape(1, 3, 1, 1) - Y
    return np.abs(d).mean(), (np.sign(d) * X).sum(axis=(0, 2, 3)) / X.size


def step_of(optimizer="adam", lr=0.1, loss=None, **options):
    model = Gain()
    step = TrainStep(
        model, loss or L1(), build_optimizer(optimizer, list(model.trainable_params()), lr), **options
    )
    return step, lambda: model.gain.asnumpy().ravel().copy()


def batch(x=X, y=Y):
    return ms.Tensor(x), ms.Tensor(y)


@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_adam_updates_are_those_of_numpy(mode, request):
    request.getfixturevalue(mode)
    step, gain = step_of()
    w, m, v = START.astype(np.float64), 0.0, 0.0
    for t in range(1, 5):
        value, g = l1_and_gradient(w)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        assert float(step(*batch())) == pytest.approx(value, rel=1e-5)  # the loss before the update
        np.testing.assert_allclose(gain(), w, rtol=1e-4)
    assert int(step.guard.read().n_skipped) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("graph")
def test_a_network_is_updated_as_mindspores_own_cell_does(new_model, weights_of):
    lq = (RNG.random((2, 3, 8, 8)) * 255).astype(np.float32)
    gt = (RNG.random((2, 3, 16, 16)) * 255).astype(np.float32)

    def train(make):
        model = new_model()
        step = make(model, build_optimizer("adam", list(model.trainable_params()), 0.01))
        losses = [float(step(ms.Tensor(lq), ms.Tensor(gt))) for _ in range(3)]
        return losses, weights_of(model)

    ours = train(lambda model, optimizer: TrainStep(model, MSE(), optimizer))
    theirs = train(lambda model, optimizer: nn.TrainOneStepCell(nn.WithLossCell(model, MSE()), optimizer))
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6)
    for name, value in ours[1].items():
        np.testing.assert_allclose(value, theirs[1][name], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("pynative")
def test_the_global_norm_is_clipped_and_a_smaller_one_left_alone():
    _, g = l1_and_gradient(START)
    norm = np.linalg.norm(g)
    for clip_norm, expected in ((norm / 4, g / 4), (norm * 4, g)):
        step, gain = step_of("sgd", lr=1.0, clip_norm=float(clip_norm))
        step(*batch())
        np.testing.assert_allclose(gain(), START - expected, rtol=1e-5)


@pytest.mark.usefixtures("pynative")
def test_a_reducer_sees_the_gradients_before_they_are_clipped():
    class Tenfold(nn.Cell):
        def construct(self, loss, gradients, overflowed):
            return loss, tuple(g * 10 for g in gradients), overflowed

    _, g = l1_and_gradient(START)
    step, gain = step_of("sgd", lr=1.0, reducer=Tenfold())
    step(*batch())
    np.testing.assert_allclose(gain(), START - 10 * g, rtol=1e-5)
    limit = float(np.linalg.norm(g))
    step, gain = step_of("sgd", lr=1.0, reducer=Tenfold(), clip_norm=limit)
    step(*batch())
    np.testing.assert_allclose(gain(), START - g, rtol=1e-5)


class Scaled(Precision):
    def __init__(self, scaler):
        super().__init__()
        self.scaler = scaler


def scaled_steps(scaler, batches, **options):
    step, gain = step_of(precision=Scaled(scaler), **options)
    losses, gains = [], []
    for one in batches:
        losses.append(float(step(*one)))
        gains.append(gain())
    return step, losses, gains


@pytest.mark.slow
@pytest.mark.usefixtures("pynative")
@pytest.mark.parametrize(
    ("make", "clip_norm"),
    [(lambda: amp.StaticLossScaler(1024), 0.1), (lambda: amp.DynamicLossScaler(1024, 2, 100), None)],
    ids=["static, clipped", "dynamic"],
)
def test_a_power_of_two_as_loss_scale_changes_no_bit(make, clip_norm):
    plain, gain = step_of(clip_norm=clip_norm)
    losses = [float(plain(*batch())) for _ in range(3)]
    step, scaled_losses, gains = scaled_steps(make(), [batch()] * 3, clip_norm=clip_norm)
    assert scaled_losses == losses
    np.testing.assert_array_equal(gains[-1], gain())
    assert int(step.guard.read().n_skipped) == 0


OVERFLOW = batch(np.full_like(X, 3e38))


@pytest.mark.slow
@pytest.mark.usefixtures("graph")
def test_an_overflow_skips_the_update_counts_it_and_halves_a_dynamic_scale():
    scaler = amp.DynamicLossScaler(1024, 2, 2)
    step, _, gains = scaled_steps(scaler, [batch(), OVERFLOW, OVERFLOW, batch(), batch()])
    assert int(step.guard.read().n_skipped) == 2
    np.testing.assert_array_equal(gains[0], gains[1])
    np.testing.assert_array_equal(gains[0], gains[2])
    assert (gains[3] != gains[2]).all()
    assert float(scaler.scale_value) == 512  # 1024, halved twice, doubled after two good updates
    # The moments of Adam were skipped as well: three good updates are all there was.
    plain, gain = step_of()
    for _ in range(3):
        plain(*batch())
    np.testing.assert_array_equal(gains[-1], gain())


@pytest.mark.slow
@pytest.mark.usefixtures("pynative")
def test_a_static_scale_stays():
    scaler = amp.StaticLossScaler(1024)
    step, _, gains = scaled_steps(scaler, [OVERFLOW, batch()])
    assert int(step.guard.read().n_skipped) == 1
    np.testing.assert_array_equal(gains[0], START)
    assert (gains[1] != START).all()
    assert float(scaler.scale_value) == 1024


def test_the_update_owns_no_name_that_weights_could_have():
    step, _ = step_of()
    assert all(name.startswith("guard.") for name in step.guard.state())
    assert [p.name for p in step.network.trainable_params()] == ["gain"]


# What is skipped

NAN = batch(np.where(np.arange(X.size).reshape(X.shape) == 5, np.nan, X).astype(np.float32))


class RootOfGain(nn.Cell):
    """A finite loss with an infinite gradient: the slope of a square root at 0."""

    def construct(self, sr, gt):
        return ops.mean(ops.abs(gt)) + ops.sum(ops.sqrt(ops.abs(sr))) * 0.0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_a_loss_that_is_no_number_is_skipped_with_its_moments_and_counted(mode, request):
    request.getfixturevalue(mode)
    step, gain = step_of()
    plain, plain_gain = step_of()
    gains, losses = [], []
    for one in (batch(), NAN, NAN, batch()):
        losses.append(float(step(*one)))
        gains.append(gain())
    for _ in range(2):
        plain(*batch())
    np.testing.assert_array_equal(gains[0], gains[2])
    np.testing.assert_array_equal(gains[3], plain_gain())  # as if the bad batches had never been
    assert np.isnan(losses[1:3]).all()
    counts = step.guard.read()
    assert (counts.n_accepted, counts.n_bad, counts.n_bad_in_a_row, counts.n_overflows) == (2, 2, 0, 0)
    assert np.isnan(counts.last_bad_loss)
    assert counts.mean_loss == pytest.approx((losses[0] + losses[3]) / 2)


@pytest.mark.usefixtures("pynative")
def test_a_gradient_that_is_no_number_is_skipped_though_the_loss_is_one():
    step, gain = step_of(loss=RootOfGain())
    loss = float(step(*batch(x=np.zeros_like(X))))
    assert np.isfinite(loss)
    np.testing.assert_array_equal(gain(), START)
    counts = step.guard.read()
    assert (counts.n_accepted, counts.n_bad, counts.n_bad_in_a_row) == (0, 1, 1)
    assert counts.last_bad_loss == loss


@pytest.mark.slow
@pytest.mark.usefixtures("pynative")
def test_under_loss_scaling_gradients_that_overflow_are_not_called_bad():
    high = amp.DynamicLossScaler(2.0**127, 2, 100)
    step, losses, gains = scaled_steps(high, [batch(x=X * 100)] * 3, lr=1e-3)
    counts = step.guard.read()
    assert counts.n_bad == 0
    assert counts.n_overflows == counts.n_overflows_in_a_row == 3
    np.testing.assert_array_equal(gains[-1], START)
    assert np.isfinite(losses).all()  # the loss as it is, though scaled it overflowed


def spike(factor):
    return batch(y=Y * factor)


@pytest.mark.slow
@pytest.mark.usefixtures("graph")
def test_a_spike_is_skipped_once_the_running_mean_is_known():
    step, gain = step_of(skip_above=5.0, lr=1e-3)
    step(*spike(100))  # too early to call anything a spike
    for _ in range(WARM_UP + WINDOW):
        step(*batch())
    counts, before = step.guard.read(), gain()
    loss = float(step(*spike(30)))
    assert loss > 5 * counts.mean_loss
    np.testing.assert_array_equal(gain(), before)
    after = step.guard.read()
    assert (after.n_bad, after.n_bad_in_a_row) == (1, 1)
    assert after.last_bad_loss == pytest.approx(loss)
    assert after.mean_loss == counts.mean_loss
    assert 1.5 * counts.mean_loss < float(step(*spike(4))) < 5 * counts.mean_loss
    assert step.guard.read().n_bad_in_a_row == 0
    assert (gain() != before).all()


@pytest.mark.slow
@pytest.mark.usefixtures("pynative")
def test_without_a_limit_a_spike_is_accepted():
    step, _ = step_of(lr=1e-3)
    for one in [batch()] * WARM_UP + [spike(1000)]:
        step(*one)
    assert step.guard.read().n_accepted == WARM_UP + 1


FOUR = np.random.default_rng(5).integers(0, 256, (2, 4, 3, 8, 8), np.uint8)


def run_in_parts(new_model, parts, batches, **options):
    model = new_model()
    optimizer = build_optimizer("adam", list(model.trainable_params()), 1e-3)
    step = TrainStep(model, L1(), optimizer, accumulate=parts, **options)
    losses = [float(step(ms.Tensor(lq), ms.Tensor(gt))) for lq, gt in batches]
    return losses, {p.name: p.asnumpy().copy() for p in model.trainable_params()}, step


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "scale"), [("pynative", 1.0), ("graph", 2.0**10)])
def test_parts_of_a_batch_add_up_to_the_whole(mode, scale, request, new_model):
    request.getfixturevalue(mode)
    lq, (gt, _) = FOUR[0], FOUR.repeat(2, axis=3).repeat(2, axis=4)
    batches = [(lq, gt), (lq[::-1].copy(), gt), (lq, gt[::-1].copy())]
    whole, parts = (
        run_in_parts(
            new_model, n, batches, precision=Scaled(amp.DynamicLossScaler(scale, 2, 2)), clip_norm=1.0
        )
        for n in (1, 4)
    )
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-5)
    for name, value in whole[1].items():
        np.testing.assert_allclose(parts[1][name], value, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.slow
@pytest.mark.usefixtures("pynative")
def test_parts_leave_nothing_behind_for_the_next_update(new_model):
    lq, (gt, _) = FOUR[0].astype(np.float32), FOUR.repeat(2, axis=3).repeat(2, axis=4).astype(np.float32)
    bad = lq.copy()
    bad[3] = np.nan
    _, expected, _ = run_in_parts(new_model, 2, [(lq, gt)])
    losses, weights, step = run_in_parts(new_model, 2, [(bad, gt), (lq, gt)])
    assert np.isnan(losses[0])
    assert step.guard.read().n_bad == 1
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)
