"""What is checked before an export, and how little that loads."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from srtrain.engines import ENGINES
from srtrain.errors import DeviceError, RunFolderError, UserError
from srtrain.export import format as format_module
from srtrain.export.format import Format, prepared_format
from srtrain.export.formats import FORMATS
from srtrain.export.options import PRECISIONS, Options

FIXED = Options(input_px=(4, 4), batch=1)


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        (
            "x.tflite",
            Options(),
            UserError,
            r"ends in '\.tflite', .* Known: \.air, \.mindir, \.native, \.onnx, \.param",
        ),
        ("x.onxx", Options(), UserError, r"Did you mean '\.onnx'\?"),
        ("x", Options(), UserError, r"ends in '', which is not an export format"),
        (
            "x.param",
            Options(input_px=(4, 4)),
            UserError,
            "ncnn files accept every size, one picture at a time",
        ),
        ("x.param", Options(batch=1), UserError, "ncnn files accept every size, one picture at a time"),
        ("x.air", FIXED, DeviceError, r"Export to \.mindir or \.onnx"),
        (
            "x.mindir",
            Options(precision="int8"),
            UserError,
            r"\.mindir files cannot be written in int8, only in float32",
        ),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, options, error, words):
    with pytest.raises(error, match=words):
        prepared_format(tmp_path / name, options, overwrite=False)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.onnx", FIXED),
        ("x.mindir", FIXED),
        ("x.param", Options()),
        *(("x.onnx", Options(precision=name)) for name in PRECISIONS),
    ],
)
def test_the_suffix_chooses_the_format(tmp_path, name, options):
    chosen = prepared_format(tmp_path / name, options, overwrite=False)
    assert type(chosen) is FORMATS.get(name[2:])
    assert options.precision in chosen.precisions


def test_an_existing_file_is_replaced_only_when_told(tmp_path):
    target = tmp_path / "x.onnx"
    target.write_text("precious")
    with pytest.raises(RunFolderError, match=r"x\.onnx' exists\. Add --overwrite to replace it"):
        prepared_format(target, Options(), overwrite=False)
    assert isinstance(prepared_format(target, Options(), overwrite=True), Format)
    assert target.read_text() == "precious"


def test_every_format_names_an_engine_that_reads_its_files():
    for name in FORMATS.names():
        engine = FORMATS.get(name).engine
        assert not engine or f".{name}" in ENGINES.get(engine).suffixes


def test_mistakes_in_a_command_line_are_found_without_mindspore(tmp_path):
    (tmp_path / "there.onnx").touch()
    code = f"""
import sys
from importlib.util import find_spec
from srtrain.cli.main import main
from srtrain.export.formats import FORMATS
for words in (["x.tflite"], ["x.param", "--input-px", "8x8"], ["x.mindir", "--precision", "int8"], ["there.onnx"]):
    assert main(["export", {str(tmp_path)!r}, "--to", {str(tmp_path)!r} + "/" + words[0], *words[1:]]) == 2, words
formats = [FORMATS.get(name) for name in FORMATS.names()]
print([name for name in ("mindspore", "onnx", "onnxruntime", "numba") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    for words in (
        "is not an export format",
        "accept every size",
        "cannot be written in int8",
        "exists. Add --overwrite",
    ):
        assert words in done.stderr


@pytest.mark.parametrize(("name", "extra"), [("x.onnx", "onnx"), ("x.param", "ncnn")])
def test_a_missing_package_is_one_error(monkeypatch, tmp_path, name, extra):
    real = find_spec
    monkeypatch.setattr(
        format_module, "find_spec", lambda package: None if package == "onnx" else real(package)
    )
    with pytest.raises(DeviceError, match=rf"without the package onnx: pip install 'srtrain\[{extra}\]'"):
        prepared_format(tmp_path / name, Options(), overwrite=False)
