"""What ``srtrain evaluate`` says about the device of a model and about its first picture."""

import json
import re

import numpy as np
import pytest

from srtrain.cli.main import main
from srtrain.data.picture import write_png


@pytest.fixture
def small_set(tmp_path):
    """A folder with one picture of noise."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 48, 3), np.uint8)
    (tmp_path / "HR").mkdir()
    write_png(tmp_path / "HR" / "noise.png", noise)
    return ["--sets", f"folder={tmp_path}", "--lr-type", "on_the_fly"]


@pytest.mark.slow
def test_the_first_picture_is_compared_with_the_checkpoint(exported, small_set, capsys):
    """The command that the documentation gives for a card, with an engine that this machine has."""
    words = [str(exported / "net.onnx"), *small_set, "--scale", "2", "--provider", "cpu"]
    assert main(["evaluate", *words, "--against", str(exported / "run")]) == 0
    shown = capsys.readouterr()
    assert f"note: the engine onnxruntime runs {str(exported / 'net.onnx')!r} on CPU" in shown.err
    found = re.search(
        r"net differs from .*run at the picture 'noise' by (\S+) grey levels of 255 at most", shown.err
    )
    assert found
    assert float(found[1]) < 1e-3
    assert "noise" not in shown.out


def test_a_scale_that_is_not_the_networks_is_refused(exported, small_set, capsys):
    assert main(["evaluate", str(exported / "net.onnx"), *small_set, "--scale", "3"]) == 2
    assert re.search(
        r"error: --scale 3 does not fit '.*net\.onnx', which is a network for x2\.", capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--device-id", "-1"], "error: --device-id -1 must be 0 or more."),
        (["--against", "nowhere"], "error: --against 'nowhere' does not exist."),
        (
            ["--provider", "cuda", "--engine", "native"],
            "the engine 'native' takes no --provider. Engines that take it:",
        ),
    ],
)
def test_options_that_do_not_fit(exported, small_set, capsys, words, says):
    assert main(["evaluate", str(exported / "net.onnx"), *small_set, *words]) == 2
    assert says in capsys.readouterr().err


def test_degradations_are_named_on_the_command_line(capsys):
    """At x1, bicubic returns its input: clipping apart, noise of sigma 25 has 20 log10(255 / 25) = 20.17 dB."""
    words = [
        "evaluate",
        "bicubic",
        "--scale",
        "1",
        "--sets",
        "embedded",
        "--protocol",
        "basicsr_rgb",
        "--json",
    ]
    assert main([*words, "--degrade", "noise", "sigma=25"]) == 0
    row = json.loads(capsys.readouterr().out)["rows"][0]
    assert row["bicubic_psnr"] == row["psnr"]
    assert all(20.1 < picture["psnr"] < 21.5 for picture in row["pictures"])
    assert main([*words, "--degrade", "mosaic"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["psnr"] < 12


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("noise", "sigma"), "--degrade noise sigma: 'sigma' is not of the form KEY=VALUE"),
        (("nois", "sigma=25"), "Did you mean 'noise'?"),
        (("noise", "sigm=25"), "'sigma'"),
    ],
)
def test_a_wrong_degradation_is_refused(words, says, capsys):
    assert main(["evaluate", "bicubic", "--scale", "1", "--sets", "embedded", "--degrade", *words]) == 2
    assert says in capsys.readouterr().err
