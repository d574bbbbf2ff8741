"""The base class is float32 and does nothing else."""

import pytest

from srtrain.device import PRECISIONS
from srtrain.device.precision import Precision


def test_float32_is_the_network_itself(new_model):
    precision = PRECISIONS.build("float32")
    model = new_model()
    assert type(precision) is Precision
    assert precision.prepare(model) is model
    assert precision.scaler is None
    assert precision.state() == {}
    assert precision.loss_scale() == 1


def test_an_unknown_precision_mentions_plugins():
    with pytest.raises(
        LookupError, match=r"no precision named 'fp32'\. .*If a plugin supplies it, name that plugin"
    ):
        PRECISIONS.get("fp32")
