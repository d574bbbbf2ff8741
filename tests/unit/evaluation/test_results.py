"""The text of an evaluation result always contains its protocol."""

from srtrain.evaluation.results import EvalResult

RESULT = EvalResult("set5", "paper_y (Y, 2 px)", "plain", 5, 33.5, 0.9301, 33.66, 1.0)


def test_the_gain_is_over_bicubic():
    assert round(RESULT.gain, 6) == -0.16


def test_the_text_has_number_method_and_protocol():
    assert str(RESULT) == (
        "set5 (plain): PSNR 33.500 dB, SSIM 0.9301, bicubic 33.660 dB, gain -0.160 dB  [5 pictures, paper_y (Y, 2 px)]"
    )


def test_an_ensembles_numbers_are_kept_apart():
    ensemble = EvalResult("set5", "paper_y", "self-ensemble x8", 5, 1, 1, 1, 1)
    assert (RESULT.tag, ensemble.tag) == ("set5", "set5_x8")
