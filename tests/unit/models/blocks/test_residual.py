"""EDSR's residual block."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import ops

from srtrain.models.blocks import ResidualBlock


@pytest.mark.parametrize("res_scale", [1.0, 0.1])
def test_the_scaled_branch_is_added_to_the_input(random, res_scale):
    block = ResidualBlock(4, res_scale=res_scale)
    x = ms.Tensor(random(2, 4, 6, 5))
    branch = block.conv2(ops.relu(block.conv1(x))).asnumpy()
    assert np.abs(branch).max() > 1e-3
    np.testing.assert_allclose(block(x).asnumpy(), x.asnumpy() + res_scale * branch, rtol=1e-5, atol=1e-6)
