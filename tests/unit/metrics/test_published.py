"""The published scores in the package, compared with the tables they are from."""

import pytest

from srtrain.metrics.published import SELF_ENSEMBLE, published


@pytest.mark.parametrize(
    ("row", "psnr", "ssim"),
    [
        (("bicubic", 2, "set5", "paper_y", "plain"), 33.66, None),
        (("EDSR (full)", 4, "urban100", "paper_y", "plain"), 26.64, 0.8033),
        (("EDSR-baseline", 3, "b100", "paper_y", "plain"), 29.08, 0.8051),
        (("EDSR (full)", 2, "div2k_valid", "div2k_rgb", "plain"), 35.03, None),
        (("EDSR (full)", 4, "div2k_valid", "div2k_rgb", SELF_ENSEMBLE), 29.370, None),
        (("EDSR (full)", 3, "set14", "paper_y", SELF_ENSEMBLE), 30.684, None),
        (("EDSR+", 2, "div2k_valid", "div2k_rgb", SELF_ENSEMBLE), 35.12, None),
        (("EDSR+", 4, "urban100", "paper_y", SELF_ENSEMBLE), 26.86, 0.8080),
        (("RDN", 3, "urban100", "paper_y", "plain"), 28.80, 0.8653),
        (("EDSR-baseline", 4, "set5", "basicsr_rgb", "plain"), 30.182, None),
    ],
)
def test_rows(row, psnr, ssim):
    found = published(*row)
    assert (found.psnr, found.ssim) == (psnr, ssim)
    assert found.source


@pytest.mark.parametrize(
    "row",
    [
        ("EDSR (full)", 2, "set5", "basicsr_y", "plain"),  # a number under another protocol is no answer
        ("EDSR-baseline", 2, "set5", "paper_y", SELF_ENSEMBLE),
        ("", 2, "set5", "paper_y", "plain"),
    ],
)
def test_what_nobody_prints_is_nothing(row):
    assert published(*row) is None
