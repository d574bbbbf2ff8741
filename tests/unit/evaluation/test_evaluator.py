"""Scores are computed on whole, quantised pictures under the protocol."""

import json
import math

import numpy as np
import pytest

from srtrain.data.resize import imresize
from srtrain.data.store import Pictures
from srtrain.device.backend import Backend
from srtrain.errors import DataError, SrtrainError
from srtrain.evaluation.comparison import Row, to_json, to_text
from srtrain.evaluation.evaluator import EvalSet, Evaluator
from srtrain.evaluation.results import EvalResult
from srtrain.evaluation.sheet import example_sheet
from srtrain.metrics import PROTOCOLS
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


def nearest(lq):
    return lq.repeat(2, axis=2).repeat(2, axis=3)


def test_a_flat_or_tiny_picture_does_not_spoil_the_means_and_is_named(odd_set):
    """Repeating pixels reproduces the flat picture exactly; so does bicubic interpolation."""
    result = Evaluator(nearest, Backend(), n_examples=4).run(odd_set)
    scores = {score.name: score for score in result.scores}
    assert result.n_pictures == 4
    assert [math.isinf(scores[name].psnr) for name in ("eye", "flat", "small")] == [False, True, False]
    assert [math.isnan(scores[name].ssim) for name in scores] == [False, False, True, True]
    assert math.isnan(scores["tiny"].psnr)
    assert result.psnr == pytest.approx((scores["eye"].psnr + scores["small"].psnr) / 2)
    assert result.bicubic_psnr == pytest.approx(
        (scores["eye"].bicubic_psnr + scores["small"].bicubic_psnr) / 2
    )
    assert result.ssim == pytest.approx((scores["eye"].ssim + scores["flat"].ssim) / 2)
    assert result.gain == pytest.approx(result.psnr - result.bicubic_psnr)
    assert str(result).endswith(
        "; 1 of 4 pictures too small to be scored inside the border: tiny; 1 of 4 pictures too small for SSIM, so not "
        "in its mean: small; 1 of 4 pictures equal to the ground truth (infinite PSNR), so not in the mean PSNR: flat; "
        "1 of 4 pictures equal to the ground truth in bicubic interpolation, so not in its mean PSNR: flat"
    )
    assert all(example_sheet(example, result.protocol).shape[2] == 3 for example in result.examples)


def test_the_gain_is_over_the_pictures_that_are_in_both_means(odd_set):
    """A network that is wrong by 1 on the flat picture has a PSNR there, and bicubic interpolation has none."""
    result = Evaluator(lambda lq: nearest(lq) + 1, Backend()).run(odd_set)
    eye, flat, small, _ = result.scores
    assert result.psnr == pytest.approx((eye.psnr + flat.psnr + small.psnr) / 3)
    assert result.gain == pytest.approx((eye.psnr - eye.bicubic_psnr + small.psnr - small.bicubic_psnr) / 2)
    assert result.gain < 0 < result.psnr - result.bicubic_psnr


def test_an_exact_picture_ranks_higher_than_one_that_is_nearly_exact(odd_set):
    exact, nearly = (
        Evaluator(network, Backend()).run(odd_set)
        for network in (nearest, lambda lq: nearest(lq) + (lq.std() == 0))
    )
    assert exact.psnr < nearly.psnr  # since the mean of ``nearly`` has a very good picture more
    assert exact.rank > nearly.rank == nearly.psnr


def test_odd_pictures_in_the_table_and_in_json(odd_set):
    result = Evaluator(nearest, Backend()).run(odd_set)
    row = Row("net", "", "onnxruntime", 2, "paper_y", result, None, None)
    assert "note: net on odd, paper_y, plain: 1 of 4 pictures too small" in to_text([row])
    [found] = json.loads(json.dumps(to_json([row]), allow_nan=False))
    by_name = {picture["name"]: picture for picture in found["pictures"]}
    assert (by_name["flat"]["psnr"], by_name["tiny"]["psnr"], by_name["small"]["ssim"]) == (None, None, None)
    assert found["psnr"] == result.psnr
    assert found["left_out"] == result.left_out


@pytest.mark.parametrize("kept", [("flat",), ("small",)])
def test_a_set_without_a_mean_has_none(odd_set, kept):
    """All PSNRs infinite, or all pictures too small for SSIM; through JSON and back."""
    subset = Pictures([pair for pair in odd_set.pictures.pairs if pair.name in kept], 2)
    result = Evaluator(nearest, Backend()).run(EvalSet("odd", subset, 2, odd_set.protocol))
    assert math.isinf(result.psnr) == (kept == ("flat",))
    assert math.isnan(result.ssim) == (kept == ("small",))
    assert "SSIM n/a" in str(result) or "PSNR inf dB" in str(result)
    again = EvalResult(**json.loads(json.dumps(result.plain(), allow_nan=False)))
    assert str(again) == str(result)
    assert again.rank == result.rank
    row = Row("net", "", "onnxruntime", 2, "paper_y", result, None, None)
    json.dumps(to_json([row]), allow_nan=False)
    assert "n/a" in to_text([row])


def test_a_set_of_which_nothing_can_be_scored_is_refused(odd_set):
    subset = Pictures(odd_set.pictures.pairs[3:], 2)
    with pytest.raises(
        DataError, match=r"no picture of odd is large enough for div2k_rgb \(RGB, 8 px border"
    ):
        Evaluator(nearest, Backend()).run(EvalSet("odd", subset, 2, PROTOCOLS.build("div2k_rgb")))


def test_the_picture_with_an_output_that_is_not_finite_is_named(odd_set):
    def normalise(lq):
        with np.errstate(invalid="ignore"):
            return nearest((lq - lq.mean()) / lq.std())

    with pytest.raises(SrtrainError, match=r"picture 'flat' of odd: 4800 of 4800 values"):
        Evaluator(normalise, Backend()).run(odd_set)
