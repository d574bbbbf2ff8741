"""Export on the command line, and every engine with real weights."""

from __future__ import annotations

import contextlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from srtrain.cli.main import main
from srtrain.commands.export import parse_pictures
from srtrain.data.embedded import embedded
from srtrain.data.picture import read_rgb
from srtrain.engines import ENGINES
from srtrain.errors import DataError
from srtrain.infer.open import open_engine
from srtrain.jobs.export import open_pictures
from srtrain.metrics import PROTOCOLS
from srtrain.metrics.protocol import quantise

COMPARED = ("mindspore", "mindir", "onnxruntime", "ncnn", "native")


@dataclass
class Done:
    """How a command ended and what it said."""

    returncode: int
    stdout: str
    stderr: str


def srtrain(*words: object) -> Done:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def weights(shared_data: Path) -> Path:
    """EDSR x2 with 5 blocks, 64 features and no mean shift; the weights are published."""
    return next((shared_data / "weights" / "EDSR_f64b5_x2").glob("*.npz"))


@pytest.fixture(scope="module")
def exported(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights as ONNX, written by the command."""
    folder = tmp_path_factory.mktemp("exported")
    done = srtrain("export", weights, "--to", folder / "f64b5.onnx")
    assert done.returncode == 0, done.stderr
    found = re.search(r"largest difference from the checkpoint: (\S+) grey levels", done.stdout)
    assert found
    assert float(found[1]) < 1e-3
    assert "end of the network: one convolution" in done.stdout
    return folder


@pytest.mark.slow
@pytest.mark.shared_data
def test_every_engine_agrees_on_set5(weights: Path, shared_data: Path) -> None:
    """Within 0.01 grey levels of MindSpore, and 0.001 dB of the 37.652 dB that these weights score in PyTorch."""
    protocol = PROTOCOLS.build("paper_y")
    psnr: dict[str, list[float]] = {name: [] for name in COMPARED}
    engines = {name: open_engine(weights, name) for name in COMPARED}
    for file in sorted((shared_data / "Set5" / "HR").glob("*.png")):
        gt = read_rgb(file)
        lq = read_rgb(shared_data / "Set5" / "LR_bicubic" / "X2" / f"{file.stem}x2.png")
        pixels = lq.transpose(2, 0, 1)[None].astype(np.float32)
        reference = engines["mindspore"](pixels)
        for name, engine in engines.items():
            out = engine(pixels)
            assert np.abs(out - reference).max() <= (0.01 if name == "native" else 1e-3)
            sr = quantise(out[0].transpose(1, 2, 0))
            psnr[name].append(protocol.psnr(sr, gt[: sr.shape[0], : sr.shape[1]], 2))
    for scores in psnr.values():
        assert abs(np.mean(scores) - 37.652) < 0.001


@pytest.mark.slow
@pytest.mark.shared_data
def test_a_file_of_fixed_size_and_its_refusals(exported: Path, weights: Path) -> None:
    target = exported / "square.mindir"
    done = srtrain("export", weights, "--to", target, "--input-px", "34x34", "--batch", 1)
    assert done.returncode == 0, done.stderr
    assert "1x34x34" in done.stdout
    assert open_engine(target).input_px == (34, 34)
    again = srtrain("export", weights, "--to", target)
    assert (again.returncode, again.stdout) == (2, "")
    assert "--overwrite" in again.stderr


@pytest.mark.slow
@pytest.mark.shared_data
def test_int8_says_what_it_costs(exported: Path, weights: Path, shared_data: Path) -> None:
    target = exported / "int8.onnx"
    done = srtrain(
        *("export", weights, "--to", target, "--precision", "int8"),
        *("--measure", f"set5={shared_data / 'Set5'}"),
    )
    assert done.returncode == 0, done.stderr
    assert "instead of 37.652 in float32 (-0." in done.stdout
    assert "on set5, paper_y (Y of BT.601, 2 px border, 8 bit)" in done.stdout
    cost = json.loads((exported / "int8.onnx.json").read_text())["cost"]
    assert 0 < cost["float32_psnr"] - cost["psnr"] < 0.3
    assert target.stat().st_size < (exported / "f64b5.onnx").stat().st_size / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere", "--to", "x.onnx"), r"'nowhere' does not exist"),
        ((".", "--to", "x.air"), "AIR is written by MindSpore's Ascend back end"),
        ((".", "--to", "x.onnx", "--input-px", "12"), "--input-px '12' is not a size"),
        (
            (".", "--to", "x.mindir", "--precision", "int8"),
            ".mindir files cannot be written in int8, only in float32",
        ),
        ((".", "--to", "x.onnx", "--precision", "int4"), "precision is 'int4'"),
    ],
)
def test_mistakes_are_named(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = srtrain("export", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_embedded_pictures_calibrate_and_a_wrong_folder_is_named(tmp_path: Path) -> None:
    assert len(open_pictures(parse_pictures("embedded"), 2, ("astronaut", "coffee"))) == 2
    folder = embedded(2, names=("chelsea",))[0].gt.parent
    assert len(open_pictures(parse_pictures(str(folder)), 2, ())) == 4
    with pytest.raises(DataError, match=r"is not a folder\. Give a folder of pictures, or a data set"):
        parse_pictures("set5")


def test_the_engine_of_the_documentation_upscales(
    repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (repo_root / "docs" / "export.md").read_text(encoding="utf-8")
    code = text.rsplit("```python\n", 1)[1].split("```")[0]
    ENGINES.names()  # imports the engines, which must not happen on the copy that is thrown away
    monkeypatch.setattr(ENGINES, "_entries", dict(ENGINES._entries))
    exec(code, {})
    engine = open_engine(tmp_path, "nearest")
    assert engine(np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)).shape == (1, 3, 4, 4)
