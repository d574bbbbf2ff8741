"""The self-ensemble is the mean over eight orientations, each rotated back."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.models.ensemble import SelfEnsemble
from srtrain.models.upscale import Upscaler

LQ = (
    np.random.default_rng(2).integers(0, 256, (1, 3, 5, 7)).astype(np.float32)
)  # as pictures are: sums are exact


def nearest(lq):
    """An equivariant network: rotating the input rotates the output."""
    return lq.repeat(2, axis=2).repeat(2, axis=3)


def test_an_equivariant_model_gives_its_plain_result():
    calls = []

    def upscale(lq):
        calls.append(lq)
        return nearest(lq)

    np.testing.assert_array_equal(SelfEnsemble(upscale)(LQ), nearest(LQ))
    assert len(calls) == 8
    assert {call.shape for call in calls} == {(1, 3, 5, 7), (1, 3, 7, 5)}
    assert all(call.flags.c_contiguous for call in calls)
    for i in range(8):  # all eight are different views
        for j in range(i):
            assert calls[i].shape != calls[j].shape or not np.array_equal(calls[i], calls[j])


@pytest.mark.usefixtures("pynative")
def test_a_network_gives_the_mean_of_all_eight(new_model):
    model = new_model()

    def run(x):
        return model(ms.Tensor(np.ascontiguousarray(x))).asnumpy()

    outputs = []
    for transpose in (False, True):
        for up_down in (False, True):
            for left_right in (False, True):
                x = LQ
                x = x.transpose(0, 1, 3, 2) if transpose else x
                x = x[:, :, ::-1] if up_down else x
                x = x[:, :, :, ::-1] if left_right else x
                y = run(x)
                y = y[:, :, :, ::-1] if left_right else y
                y = y[:, :, ::-1] if up_down else y
                y = y.transpose(0, 1, 3, 2) if transpose else y
                outputs.append(y)
    expected = np.mean(np.float64(outputs), axis=0)
    assert np.abs(outputs[0] - expected).max() > 0.1  # this network is not equivariant
    result = SelfEnsemble(Upscaler(model))(LQ)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-3)


def test_the_mean_is_taken_before_clipping():
    result = SelfEnsemble(lambda lq: nearest(lq) - 300)(LQ)
    np.testing.assert_allclose(result, nearest(LQ) - 300, rtol=1e-6)
    assert result.min() < 0
