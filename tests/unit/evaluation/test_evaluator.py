"""Scores are computed on whole, quantised pictures under the protocol."""

import numpy as np
import pytest

from srtrain.data.resize import imresize
from srtrain.device.backend import Backend
from srtrain.evaluation.evaluator import Evaluator
from srtrain.metrics.protocol import quantise
from srtrain.models.ensemble import SelfEnsemble


def enlarge(lq):
    """Bicubic as a model, whose scores are known."""
    out = imresize(lq[0].transpose(1, 2, 0), 2)
    return out.transpose(2, 0, 1)[None].astype(np.float32)


def test_each_picture_is_scored_whole_and_the_mean_is_over_pictures(benchmark_set):
    seen = []

    def upscale(lq):
        seen.append(lq)
        return enlarge(lq) + 7.3

    result = Evaluator(upscale, Backend(), n_examples=1).run(benchmark_set)
    assert [(lq.shape, lq.dtype) for lq in seen] == [
        ((1, 3, 20, 20), np.float32),
        ((1, 3, 20, 18), np.float32),
    ]
    expected = []
    for i in range(2):
        lq, gt = benchmark_set.pictures.lq(i), benchmark_set.pictures.gt(i)
        np.testing.assert_array_equal(seen[i][0].transpose(1, 2, 0), lq)
        sr = quantise(enlarge(seen[i])[0].transpose(1, 2, 0) + np.float32(7.3))
        protocol = benchmark_set.protocol
        expected.append(
            (protocol.psnr(sr, gt, 2), protocol.ssim(sr, gt, 2), protocol.psnr(imresize(lq, 2), gt, 2))
        )
    means = np.mean(expected, axis=0)
    assert (result.psnr, result.ssim, result.bicubic_psnr) == pytest.approx(tuple(means))
    assert [(s.psnr, s.ssim, s.bicubic_psnr) for s in result.scores] == expected
    assert [s.name for s in result.scores] == ["eye", "ear"]
    assert (result.benchmark, result.method, result.n_pictures) == ("crops", "plain", 2)
    assert result.protocol.startswith("paper_y")
    assert [e.name for e in result.examples] == ["eye"]
    assert result.examples[0].sr.dtype == np.uint8


def test_bicubic_itself_gains_nothing(benchmark_set):
    result = Evaluator(lambda lq: quantise(enlarge(lq)).astype(np.float32), Backend()).run(benchmark_set)
    assert result.psnr == pytest.approx(result.bicubic_psnr, abs=0.01)
    assert result.psnr > 25


def test_another_function_can_stand_in_with_its_name(benchmark_set):
    evaluator = Evaluator(enlarge, Backend())
    result = evaluator.run(benchmark_set, "self-ensemble x8", SelfEnsemble(lambda lq: enlarge(lq) + 50))
    assert result.method == "self-ensemble x8"
    assert result.psnr < evaluator.run(benchmark_set).psnr - 5
