import math
import re

import numpy as np
import pytest

from srtrain.errors import DataError, RecipeError, SrtrainError, UnknownNameError
from srtrain.metrics import METRICS, PROTOCOLS
from srtrain.metrics.protocol import Protocol, quantise


def two_pictures(height=40, width=52):
    """A smooth picture and a disturbed copy, made by formulas so that the expected numbers hold on any machine."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    gt = (128 + 60 * np.sin(x / 5 + c) + 50 * np.cos(y / 7 - c)).round().astype(np.uint8)
    sr = np.clip(gt.astype(int) + (7 * x + 5 * y + 3 * c) % 23 - 11, 0, 255).astype(np.uint8)
    return sr, gt


# Computed once with scikit-image 0.26 (rgb2ycbcr, peak_signal_noise_ratio, structural_similarity with
# gaussian_weights, sigma 1.5, use_sample_covariance=False) on pictures cropped by hand, at scale 2.
FROZEN = [
    ("paper_y", 35.30615953210567, 0.9234593643105381),
    ("div2k_rgb", 31.696886166135876, 0.8960500657653254),
    ("basicsr_rgb", 31.697514619327766, 0.8953870086890201),
]


@pytest.mark.parametrize(("name", "psnr", "ssim"), FROZEN)
def test_scores_equal_those_of_scikit_image(name, psnr, ssim):
    protocol = PROTOCOLS.build(name)
    sr, gt = two_pictures()
    assert protocol.psnr(sr, gt, scale=2) == pytest.approx(psnr, abs=1e-9)
    assert protocol.ssim(sr, gt, scale=2) == pytest.approx(ssim, abs=1e-9)
    assert protocol.score(sr, gt, scale=2) == pytest.approx({"psnr": psnr, "ssim": ssim}, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "at_scale_3", "general"),
    [
        (
            "paper_y",
            "paper_y (Y of BT.601, 3 px border, 8 bit)",
            "paper_y (Y of BT.601, border = scale px, 8 bit)",
        ),
        ("div2k_rgb", "div2k_rgb (RGB, 9 px border, 8 bit)", "div2k_rgb (RGB, border = scale + 6 px, 8 bit)"),
        (
            "basicsr_rgb",
            "basicsr_rgb (RGB, 3 px border, 8 bit)",
            "basicsr_rgb (RGB, border = scale px, 8 bit)",
        ),
    ],
)
def test_a_protocol_says_what_it_is(name, at_scale_3, general):
    protocol = PROTOCOLS.build(name)
    assert protocol.name == name
    assert protocol.describe(3) == at_scale_3
    assert str(protocol) == general


@pytest.mark.parametrize(("name", "border_px"), [("paper_y", 4), ("div2k_rgb", 10), ("basicsr_rgb", 4)])
def test_only_what_lies_inside_the_border_counts(name, border_px):
    protocol = PROTOCOLS.build(name)
    _, gt = two_pictures()
    sr = 255 - gt
    inner = slice(border_px, -border_px)
    sr[inner, inner] = gt[inner, inner]
    assert protocol.border_px(4) == border_px
    assert protocol.psnr(sr, gt, scale=4) == math.inf
    sr[border_px, border_px] = 255 - gt[border_px, border_px]
    assert protocol.psnr(sr, gt, scale=4) < 60


def test_the_code_in_the_documentation_runs(monkeypatch, repo_root, capsys):
    for registry in (METRICS, PROTOCOLS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    page = (repo_root / "docs" / "metrics.md").read_text(encoding="utf-8")
    names = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), names)

    assert re.fullmatch(
        r"4\d\.\d\d dB  paper_y \(Y of BT.601, 2 px border, 8 bit\)\n", capsys.readouterr().out
    )
    error = quantise(names["output"]).astype(float) - names["gt"]
    assert names["scores"]["largest_error"] == np.abs(error).max()
    assert names["scores"]["psnr"] == pytest.approx(10 * math.log10(255**2 / np.mean(error**2)))


def test_a_border_may_have_any_size():
    assert str(Protocol("p", "rgb", border_per_scale=0)) == "p (RGB, border = 0 px, 8 bit)"
    assert str(Protocol("p", "y", border_per_scale=2)) == "p (Y of BT.601, border = 2 x scale px, 8 bit)"
    sr, gt = two_pictures()
    sr[0, 0] = 255 - gt[0, 0]
    assert Protocol("p", "rgb", border_per_scale=0).psnr(sr, gt, 2) < Protocol("p", "rgb").psnr(sr, gt, 2)


def test_an_unknown_metric_or_protocol_is_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match=r"no metric named 'pnsr'. Did you mean 'psnr'\?"):
        PROTOCOLS.build("paper_y").score(*two_pictures(), scale=2, metrics=["pnsr"])
    with pytest.raises(UnknownNameError, match=r"no protocol named 'paper_Y'. Did you mean 'paper_y'\?"):
        PROTOCOLS.build("paper_Y")


def test_a_protocol_that_makes_no_sense_is_refused():
    with pytest.raises(
        RecipeError, match=r"protocol 'mine': colour is 'RGB'. Did you mean 'rgb'\? Allowed: rgb, y"
    ):
        Protocol("mine", colour="RGB")
    with pytest.raises(RecipeError, match=r"protocol 'mine': border_extra_px is -6; it must be 0 or more"):
        Protocol("mine", colour="rgb", border_extra_px=-6)


def test_pictures_that_cannot_be_compared_are_refused():
    protocol = PROTOCOLS.build("paper_y")
    sr, gt = two_pictures()
    with pytest.raises(
        DataError, match=r"sr is 40 x 52 and gt is 39 x 52 .* multiple of the scale \(3\) is cropped"
    ):
        protocol.psnr(sr, gt[:39], scale=3)
    with pytest.raises(DataError, match=r"gt has the shape \(40, 52\); .* Repeat a grey picture three times"):
        protocol.psnr(sr, gt[:, :, 0], scale=2)
    with pytest.raises(DataError, match=r"sr has the shape \(40, 52, 4\); .* drop an alpha channel"):
        protocol.psnr(np.dstack([sr, sr[:, :, :1]]), gt, scale=2)
    with pytest.raises(DataError, match=r"sr is float32; .* Call quantise\(\)"):
        protocol.psnr(sr.astype(np.float32), gt, scale=2)
    with pytest.raises(DataError, match=r"gt is uint16"):
        protocol.ssim(sr, gt.astype(np.uint16), scale=2)


def test_pictures_smaller_than_the_border_are_refused():
    protocol = PROTOCOLS.build("div2k_rgb")
    sr, gt = two_pictures(16, 52)
    with pytest.raises(DataError, match=r"div2k_rgb \(RGB, 8 px border, 8 bit\) cuts 8 px .* of 16 x 52"):
        protocol.psnr(sr, gt, scale=2)
    sr, gt = two_pictures(17, 52)
    assert protocol.psnr(sr, gt, scale=2) > 0
    with pytest.raises(DataError, match="SSIM needs at least 11 x 11 pixels, but 1 x 36"):
        protocol.ssim(sr, gt, scale=2)


def test_quantise_clips_and_rounds_halves_upwards_as_matlab_does():
    values = [-7.0, -0.5, 0.49999997, 0.5, 1.5, 2.5, 2.4999, 254.5, 254.49, 255.0, 255.4, 300.0]
    expected = [0, 0, 0, 1, 2, 3, 2, 255, 254, 255, 255, 255]
    for dtype in (np.float32, np.float64):
        result = quantise(np.array(values, dtype))
        assert result.dtype == np.uint8
        assert result.tolist() == expected
    assert quantise(np.array([np.nextafter(0.5, 0)])).tolist() == [0]
    assert quantise(np.array([[3.25]], np.float16)).tolist() == [[3]]


def test_quantise_refuses_what_is_no_number():
    with pytest.raises(SrtrainError, match="2 of 4 values of the network's output are not finite") as caught:
        quantise(np.array([1.0, np.nan, np.inf, 2.0], np.float32))
    assert caught.value.exit_code == 1
