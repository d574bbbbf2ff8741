import math

import numpy as np
import pytest

from srtrain.metrics.psnr import psnr


def psnr_by_loops(sr, gt):
    total, n_values = 0.0, 0
    for a, b in zip(sr.ravel().tolist(), gt.ravel().tolist(), strict=True):
        total += (a - b) ** 2
        n_values += 1
    return 10 * math.log10(255**2 * n_values / total)


def test_psnr_equals_loops_over_every_value():
    rng = np.random.default_rng(7)
    sr, gt = rng.uniform(0, 255, (2, 9, 13, 3))
    assert psnr(sr, gt) == pytest.approx(psnr_by_loops(sr, gt), abs=1e-10)


@pytest.mark.parametrize(("error", "decibel"), [(1.0, 48.1308036), (5.0, 34.1514036), (255.0, 0.0)])
def test_psnr_of_a_constant_error(error, decibel):
    gt = np.zeros((4, 4, 1))
    assert psnr(gt + error, gt) == pytest.approx(decibel, abs=1e-7)


def test_channels_share_one_mean_squared_error():
    # Averaging three PSNR values instead would be infinite here.
    gt = np.zeros((4, 4, 3))
    sr = gt.copy()
    sr[:, :, 0] = 3.0
    assert psnr(sr, gt) == pytest.approx(10 * math.log10(255**2 / 3))


def test_identical_pictures_have_infinite_psnr():
    gt = np.linspace(0, 255, 48).reshape(4, 4, 3)
    assert psnr(gt, gt.copy()) == math.inf
