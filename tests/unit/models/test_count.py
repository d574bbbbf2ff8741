"""Parameters and multi-adds compared with convolution arithmetic and with published numbers."""

import mindspore as ms
import pytest
from mindspore import nn

from srtrain.models.blocks import conv
from srtrain.models.count import count
from srtrain.models.edsr import EDSR

HD = 1280 * 720


@pytest.mark.parametrize(
    ("scale", "published"), [(2, 316.3e9), (3, 160.2e9), (4, 114.0e9)]
)  # EDSR-baseline, as papers on light networks list it
def test_edsr_baseline_is_what_papers_count(scale, published):
    assert count(EDSR(scale), scale).multi_adds == pytest.approx(published, rel=0.003)


def test_convolution_arithmetic():
    """x2, 1 block of 4 features: a 3x3 convolution costs 9 x in x out per output pixel."""
    cost = count(EDSR(2, n_resblocks=1, n_feats=4), 2)
    lq_pixels = HD // 4
    body = (
        3 * 4 + 4 * 4 * 3 + 4 * 16
    )  # head, two in the block and body_end, the upsampler's; at low resolution
    tail = 4 * 3 * 4  # at high resolution: four pixels for one of the input
    assert cost.multi_adds == 9 * (body + tail) * lq_pixels
    assert str(cost).endswith("G multi-adds for 1280 x 720 output")


class Odd(nn.Cell):
    """Layers that EDSR does not have: groups, a layer used twice, a transposed convolution, a dense layer."""

    def __init__(self):
        super().__init__()
        self.grouped = conv(3, 6, 3, groups=3)
        self.twice = conv(6, 6, 1)
        self.transposed = nn.Conv2dTranspose(6, 5, 2, 2)
        self.dense = nn.Dense(5, 7)

    def construct(self, x):
        x = self.transposed(self.twice(self.twice(self.grouped(x))))
        return self.dense(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def test_layers_of_other_networks():
    lq_pixels = HD // 4
    each = 6 * 9 + 2 * 36 + 6 * 5 * 4 + 4 * 5 * 7
    assert count(Odd(), 2).multi_adds == each * lq_pixels


def test_the_mode_is_left_as_it_was():
    model = EDSR(2, n_resblocks=1, n_feats=4)
    for mode in (ms.PYNATIVE_MODE, ms.GRAPH_MODE):
        ms.set_context(mode=mode)
        count(model, 2)
        assert ms.get_context("mode") == mode
