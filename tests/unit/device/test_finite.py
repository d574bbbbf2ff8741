"""A device that saturates: its register is emulated by a Parameter that the network marks."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from srtrain.device.finite import RegisterCheck
from srtrain.device.precision import Precision
from srtrain.trainer.losses.l1 import L1
from srtrain.trainer.optim import build_optimizer
from srtrain.trainer.step import TrainStep

LIMIT = 100.0


class Register(nn.Cell):
    """The emulated register; ``factor`` is 1 to read it and 0 to clear it."""

    def __init__(self, register, factor):
        super().__init__(auto_prefix=False)
        self.register = register
        self.factor = factor

    def construct(self, blank):
        return ops.assign(self.register, self.register * self.factor + blank)


class Saturating(nn.Cell):
    """One weight; a product above the limit becomes the limit and marks the register."""

    def __init__(self, register):
        super().__init__()
        self.gain = ms.Parameter(Tensor([1.0]), name="gain")
        self.register = register

    def construct(self, x):
        y = x * self.gain
        mark = ops.cast((ops.abs(y) > LIMIT).any(), ms.int32)
        y = ops.clip_by_value(y, Tensor(-LIMIT), Tensor(LIMIT))
        return ops.depend(y, ops.assign(self.register, self.register + mark))


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "parts"), [("pynative", 1), ("graph", 1), ("graph", 2)])
def test_an_overflow_that_leaves_only_a_mark_skips_its_own_update_and_no_other(mode, parts, request):
    """The register has a mark before the first update, as an evaluation may leave one."""
    request.getfixturevalue(mode)
    register = ms.Parameter(Tensor([7] + [0] * 7, ms.int32), name="register", requires_grad=False)
    model = Saturating(register)
    optimizer = build_optimizer("sgd", list(model.trainable_params()), 0.01)
    precision = Precision()
    precision.finite = RegisterCheck(Register(register, 1), Register(register, 0))
    step = TrainStep(model, L1(), optimizer, precision=precision, accumulate=parts)
    low, high = np.full((2, 3, 4, 4), 3, np.float32), np.full((2, 3, 4, 4), 3, np.float32)
    high[0] = 120
    gains = []
    for lq in (low, high, low):
        loss = float(step(Tensor(lq), Tensor(low - 1)))
        assert np.isfinite(loss)
        gains.append(float(model.gain.asnumpy()[0]))
    assert gains[0] < 1
    assert gains[1] == gains[0]
    assert gains[2] < gains[1]
    assert (step.guard.read().n_accepted, step.guard.read().n_bad) == (2, 1)
