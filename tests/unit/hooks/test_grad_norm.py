"""The norm is that of the gradient (by NumPy), with clipping, loss scale and parts. Asking changes no weight."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import amp, nn

from srtrain.device.precision import Precision
from srtrain.errors import HookError
from srtrain.hooks import Hook
from srtrain.hooks.grad_norm import GradNormHook
from srtrain.trainer.losses.mse import MSE
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.step import TrainStep

RNG = np.random.default_rng(4)
X = RNG.standard_normal((4, 3, 5, 5)).astype(np.float32)
Y = RNG.standard_normal((4, 3, 5, 5)).astype(np.float32)
GAIN, SHIFT = np.float32([0.5, -1.0, 2.0]), np.float32([0.25, 0.0, -3.0])


class Affine(nn.Cell):
    """``gain * x + shift`` for each channel: its gradient can be written down."""

    def __init__(self):
        super().__init__()
        self.gain = ms.Parameter(ms.Tensor(GAIN.reshape(1, 3, 1, 1)), name="gain")
        self.shift = ms.Parameter(ms.Tensor(SHIFT.reshape(1, 3, 1, 1)), name="shift")

    def construct(self, x):
        return x * self.gain + self.shift


def norm_by_numpy():
    x, y = X.astype(np.float64), Y.astype(np.float64)
    slope = 2 * (x * GAIN.reshape(1, 3, 1, 1) + SHIFT.reshape(1, 3, 1, 1) - y) / x.size
    of_gain, of_shift = (slope * x).sum(axis=(0, 2, 3)), slope.sum(axis=(0, 2, 3))
    return np.sqrt((of_gain**2).sum() + (of_shift**2).sum())


def norm_after_one(**options):
    model = Affine()
    optimizer = build_optimizer("sgd", list(model.trainable_params()), 0.1)
    step = TrainStep(model, MSE(), optimizer, **options)
    step.watches_norm = True
    assert np.isnan(step.grad_norm)
    step(ms.Tensor(X), ms.Tensor(Y))
    return step.grad_norm


class Scaled(Precision):
    def __init__(self):
        super().__init__()
        self.scaler = amp.StaticLossScaler(1024)


class Tenth(nn.Cell):
    """A reducer whose mean over the ranks is a tenth of this rank's gradient."""

    def construct(self, loss, gradients, overflowed):
        return loss, tuple(gradient / 10 for gradient in gradients), overflowed


@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_it_is_the_norm_that_numpy_finds(mode, request):
    request.getfixturevalue(mode)
    assert norm_after_one() == pytest.approx(norm_by_numpy(), rel=1e-5)


@pytest.mark.usefixtures("pynative")
@pytest.mark.parametrize(
    ("options", "share"),
    [
        ({"clip_norm": 0.01}, 1),
        ({"precision": Scaled()}, 1),
        ({"accumulate": 2}, 1),
        ({"reducer": Tenth()}, 0.1),
    ],
    ids=["before clipping", "without the loss scale", "of the whole batch", "mean over the ranks"],
)
def test_it_is_the_norm_of_the_mean_gradient(options, share):
    assert norm_after_one(**options) == pytest.approx(share * norm_by_numpy(), rel=1e-5)


@pytest.mark.usefixtures("graph")
def test_asking_changes_no_bit_of_the_weights_and_the_hook_logs_each_norm(make_trainer, weights_of, tmp_path):
    logged = []

    class Seen(Hook):
        def after_step(self, trainer, out):
            logged.append(trainer.log.scalars["grad_norm"])

    asked = make_trainer([GradNormHook(), Seen()], 4, clip_norm=0.5)
    asked.train()
    plain = make_trainer([], 4, clip_norm=0.5, run_dir=tmp_path / "plain")
    plain.train()
    for name, value in weights_of(plain.model).items():
        np.testing.assert_array_equal(weights_of(asked.model)[name], value, err_msg=name)
    assert len(set(logged)) == 4
    assert min(logged) > 0


def test_a_skipped_update_leaves_the_norm_of_the_one_before(make_trainer, paint, delicate):
    norms = []

    class Norms(Hook):
        def setup(self, trainer):
            trainer.watch_grad_norm()

        def after_step(self, trainer, out):
            norms.append(trainer.grad_norm)

    make_trainer([Norms(), paint(0, 1)], 3, loss=delicate).train()
    assert norms[0] == norms[1] != norms[2]


def test_reading_it_unasked_says_how_to_ask(make_trainer):
    with pytest.raises(
        HookError, match=r"Call trainer\.watch_grad_norm\(\) in the hook's setup, or add the hook gr"
    ):
        _ = make_trainer().grad_norm


def test_asking_too_late_is_refused(make_trainer):
    class Late(Hook):
        def before_train(self, trainer):
            trainer.watch_grad_norm()

    with pytest.raises(HookError, match=r"must be called in setup"):
        make_trainer([Late()]).train()
