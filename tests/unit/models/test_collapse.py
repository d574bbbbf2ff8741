"""The linear end as one convolution: compared with its stages in float64, computed one after the other."""

from dataclasses import replace

import numpy as np
import pytest

from srtrain.models.collapse import Stage, collapse

LIMIT = 1e-5  # of the largest output; the kernels are float32


def convolution(x, weight, bias, padding):
    """Return a convolution of CHW in float64; ``padding`` is ((above, below), (left, right))."""
    n_out, _, height, width = weight.shape
    x = np.pad(x, ((0, 0), *padding))
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), (1, 2))
    return np.einsum("chwyx,ocyx->ohw", windows, weight.astype(np.float64)) + bias.reshape(n_out, 1, 1)


def shuffle(x, factor):
    """Return a pixel shuffle in DCR order."""
    n, height, width = x.shape
    x = x.reshape(factor, factor, n // factor**2, height, width).transpose(2, 3, 0, 4, 1)
    return x.reshape(-1, height * factor, width * factor)


def plain(stages, x):
    """Return the stages, one after the other."""
    for stage in stages:
        radius = stage.weight.shape[2] // 2
        x = convolution(x, stage.weight, stage.bias, ((radius, radius), (radius, radius)))
        x = shuffle(x, stage.factor)
    return x


def collapsed(end, x):
    """Return the one convolution with its corrections at the borders, as the docstring of LinearEnd says."""
    height, width = x.shape[1:]
    blocks = convolution(x, end.inner.weight, end.inner.bias, (end.padding, end.padding))
    more = end.offset > 0
    assert blocks.shape[1:] == (height + more, width + more)
    none, n = (0, end.depth - 1), end.depth
    cuts = {"top": (slice(None, n), none, 0), "bottom": (slice(-n, None), none[::-1], -1)}
    cuts |= {"left": cuts["top"], "right": cuts["bottom"]}
    whole = (slice(None), end.padding, slice(None))
    for place, kernel in end.border.items():
        sides = place.split("_")
        row = next((cuts[side] for side in sides if side in ("top", "bottom")), whole)
        column = next((cuts[side] for side in sides if side in ("left", "right")), whole)
        strip = convolution(x[:, row[0], column[0]], kernel.weight, kernel.bias, (row[1], column[1]))
        blocks[:, row[2], column[2]] += strip[:, row[2], column[2]]
    sr = shuffle(blocks, end.scale)
    first = end.offset
    return sr[:, first : first + end.scale * height, first : first + end.scale * width]


def stages_of(*sizes, n_in=3):
    """Return random stages; a size is (channels out, side of the kernel, factor)."""
    generator = np.random.default_rng(len(sizes))
    stages = []
    for n_out, side, factor in sizes:
        weight = generator.standard_normal((n_out, n_in, side, side)).astype(np.float32)
        stages.append(Stage(weight, generator.standard_normal(n_out).astype(np.float32), factor))
        n_in = n_out // factor**2
    return stages


ENDS = {
    "x2": ((16, 3, 2), (3, 3, 1)),
    "x3": ((36, 3, 3), (3, 3, 1)),
    "x4": ((16, 3, 2), (12, 3, 2), (3, 3, 1)),
    "x4 in one stage": ((32, 3, 4), (3, 3, 1)),
    "x8": ((8, 3, 2), (8, 3, 2), (8, 3, 2), (3, 3, 1)),
    "kernels of 1x1": ((16, 1, 2), (3, 3, 1)),
    "no border": ((16, 3, 2), (3, 1, 1)),
    "kernels of 5x5": ((16, 5, 2), (3, 5, 1)),
    "no shuffle": ((5, 3, 1), (3, 3, 1)),
}
KERNELS = {
    "x2": 4,
    "x3": 4,
    "x4": 5,
    "x4 in one stage": 4,
    "x8": 5,
    "kernels of 1x1": 2,
    "no border": 3,
    "kernels of 5x5": 7,
    "no shuffle": 5,
}


@pytest.mark.parametrize("name", ENDS)
def test_it_computes_the_same_at_every_size(name):
    stages = stages_of(*ENDS[name])
    end = collapse(stages)
    assert end.inner.weight.shape[2:] == (KERNELS[name],) * 2
    generator = np.random.default_rng(0)
    for height in range(1, 8):
        for width in range(1, 8):
            x = generator.standard_normal((3, height, width))
            expected = plain(stages, x)
            np.testing.assert_allclose(collapsed(end, x), expected, atol=LIMIT * np.abs(expected).max())


@pytest.mark.parametrize(
    "sizes",
    [
        ((3, 3, 1),),  # one stage
        ((16, 5, 2), (8, 5, 2), (3, 5, 1)),  # two rows of input pixels feel a border
        ((16, 3, 2), (4, 3, 1)),  # no RGB
        ((8, 3, 1), (12, 3, 2)),  # ends in a shuffle
    ],
)
def test_what_it_cannot_collapse(sizes):
    assert collapse(stages_of(*sizes)) is None


@pytest.mark.parametrize("may_offset", [True, False])
def test_weights_that_are_all_zero(may_offset):
    stages = [
        replace(stage, weight=np.zeros_like(stage.weight)) for stage in stages_of(*ENDS[next(iter(ENDS))])
    ]
    end = collapse(stages, may_offset)
    x = np.ones((3, 2, 3))
    np.testing.assert_allclose(collapsed(end, x), plain(stages, x), atol=1e-6)
