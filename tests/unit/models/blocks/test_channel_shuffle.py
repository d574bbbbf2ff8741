"""ShuffleNet's channel shuffle."""

import numpy as np

from srtrain.models.blocks import ChannelShuffle


def test_groups_are_interleaved(run):
    x = np.arange(6, dtype=np.float32).reshape(1, 6, 1, 1)
    assert run(ChannelShuffle(6, 2), x).reshape(-1).tolist() == [0, 3, 1, 4, 2, 5]
    assert run(ChannelShuffle(6, 3), x).reshape(-1).tolist() == [0, 2, 4, 1, 3, 5]
