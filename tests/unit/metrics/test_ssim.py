import math

import numpy as np
import pytest

from srtrain.errors import DataError
from srtrain.metrics.ssim import ssim


def ssim_of_plane_by_loops(x, y):
    """The formula of the paper, window by window, with weighted sums instead of filters."""
    weights = [[math.exp(-(i * i + j * j) / (2 * 1.5**2)) for j in range(-5, 6)] for i in range(-5, 6)]
    total_weight = sum(map(sum, weights))
    scores = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            points = [
                (weights[i][j] / total_weight, x[top + i, left + j], y[top + i, left + j])
                for i in range(11)
                for j in range(11)
            ]
            mean_x = sum(w * a for w, a, _ in points)
            mean_y = sum(w * b for w, _, b in points)
            variance_x = sum(w * (a - mean_x) ** 2 for w, a, _ in points)
            variance_y = sum(w * (b - mean_y) ** 2 for w, _, b in points)
            covariance = sum(w * (a - mean_x) * (b - mean_y) for w, a, b in points)
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            scores.append(
                (2 * mean_x * mean_y + c1)
                * (2 * covariance + c2)
                / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
            )
    return sum(scores) / len(scores)


def test_ssim_equals_loops_over_every_window_and_averages_channels():
    rng = np.random.default_rng(3)
    gt = rng.uniform(0, 255, (14, 17, 3))
    sr = np.clip(gt + rng.normal(0, 20, gt.shape), 0, 255)
    expected = np.mean([ssim_of_plane_by_loops(sr[:, :, c], gt[:, :, c]) for c in range(3)])
    assert ssim(sr, gt) == pytest.approx(expected, abs=1e-11)


def test_one_window_is_enough_and_less_is_refused():
    gt = np.random.default_rng(1).uniform(0, 255, (11, 11, 1))
    sr = 255 - gt
    assert ssim(sr, gt) == pytest.approx(ssim_of_plane_by_loops(sr[:, :, 0], gt[:, :, 0]), abs=1e-11)
    with pytest.raises(
        DataError, match=r"SSIM needs at least 11 x 11 pixels, but 10 x 11 \(height x width\)"
    ):
        ssim(sr[1:], gt[1:])


def test_identical_pictures_score_one_and_inverted_ones_below_zero():
    gt = np.random.default_rng(2).uniform(0, 255, (20, 20, 3))
    assert ssim(gt, gt.copy()) == pytest.approx(1.0, abs=1e-12)
    assert ssim(255 - gt, gt) < 0


def test_flat_pictures_do_not_divide_by_zero():
    black = np.zeros((12, 12, 1))
    assert ssim(black, black) == 1.0
    assert ssim(black + 255, black) == pytest.approx(0.01**2 / (1 + 0.01**2), rel=1e-9)
