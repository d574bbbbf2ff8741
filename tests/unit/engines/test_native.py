"""The engine that runs our own kernels: the same pictures as the other engines."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from srtrain.engines.exported import METADATA_KEY
from srtrain.engines.native import PROGRAM
from srtrain.errors import CheckpointError, DeviceError, ExportError, UserError
from srtrain.export.options import Options
from srtrain.export.write import export
from srtrain.infer.open import open_engine
from srtrain.kernels.compile import CannotBuildError

pytestmark = pytest.mark.slow

LIMIT = 0.01  # grey levels: F(4,3) rounds more than a direct sum
SIZES = ((1, 1, 1), (2, 5, 4), (1, 1, 9), (1, 33, 26), (1, 5, 4))


@pytest.mark.parametrize(
    ("model", "scale", "args"),
    [
        ("edsr", 2, {"n_resblocks": 2, "n_feats": 12, "res_scale": 0.1}),
        ("edsr", 3, {"n_resblocks": 1, "n_feats": 16}),
        ("edsr", 4, {"n_resblocks": 1, "n_feats": 5}),
        ("edsr", 2, {"n_resblocks": 1, "n_feats": 8, "zoo_normalisation": True}),
        ("esrn", 2, {"blocks": ("S_2_16_16", "G_3_16_32")}),
        ("esrn", 2, {"blocks": ("S_2_16_16", "C_2_16_16")}),
        ("rdn", 3, {"n_blocks": 2, "n_convs": 2, "growth": 8, "n_feats": 16}),
        ("mdsr", 3, {"n_resblocks": 1, "n_feats": 8}),
    ],
)
def test_it_agrees_with_mindspore_at_all_sizes(checkpoint, tmp_path, model, scale, args):
    source = checkpoint(model, scale, **args)
    native = open_engine(export(source, tmp_path / "net.native").file, threads=1)
    reference = open_engine(source, "mindspore")
    assert (native.name, native.scale, native.about["model"]) == ("native", scale, model)
    generator = np.random.default_rng(0)
    for n, height, width in SIZES:
        lq = generator.uniform(0, 255, (n, 3, height, width)).astype(np.float32)
        np.testing.assert_allclose(native(lq), reference(lq), atol=LIMIT)


def test_a_checkpoint_runs_on_it_by_default(checkpoint, tiny, capsys):
    engine = open_engine(checkpoint(**tiny))
    assert engine.name == "native"
    assert "note: exporting" in capsys.readouterr().err


def test_a_network_with_a_part_that_it_does_not_know_runs_on_onnx_runtime(checkpoint, capsys):
    source = checkpoint("edsr", 2, n_resblocks=1, n_feats=8, kernel_px=5)
    engine = open_engine(source)
    assert engine.name == "onnxruntime"
    assert "native cannot run" in (told := capsys.readouterr().err)
    assert "no kernels of 7 x 7 px" in told
    with pytest.raises(ExportError, match="no kernels of 7 x 7 px"):
        open_engine(source, "native")


def test_without_a_compiler_onnx_runtime_takes_its_place(checkpoint, tiny, monkeypatch, capsys):
    def missing():
        raise CannotBuildError("there is no C compiler")

    source = checkpoint(**tiny)
    monkeypatch.setattr("srtrain.export.formats.native.load_library", missing)
    monkeypatch.setattr("srtrain.engines.native.load_library", missing)
    assert open_engine(source).name == "onnxruntime"
    assert "there is no C compiler" in capsys.readouterr().err
    with pytest.raises(DeviceError, match="there is no C compiler"):
        open_engine(source, "native")


def test_sizes_are_not_fixed(checkpoint, tiny, tmp_path):
    with pytest.raises(UserError, match="accept every size"):
        export(checkpoint(**tiny), tmp_path / "net.native", Options(input_px=(8, 8)))


@pytest.fixture
def exported(checkpoint, tiny, tmp_path):
    """Return a native file, its tensors and its metadata."""
    file = export(checkpoint(**tiny), tmp_path / "net.native").file
    with safe_open(str(file), framework="numpy") as opened:
        about = opened.metadata()
    return file, load_file(file), about


def test_a_file_for_another_processor_is_refused(exported):
    file, tensors, about = exported
    told = json.loads(about[METADATA_KEY]) | {"lanes": 3}
    save_file(tensors, file, {METADATA_KEY: json.dumps(told)})
    with pytest.raises(CheckpointError, match=r"net\.native' was written for vectors of 3 numbers"):
        open_engine(file)


def test_damaged_files_are_named(exported):
    file, tensors, about = exported
    save_file({name: value for name, value in tensors.items() if name != PROGRAM}, file, about)
    with pytest.raises(CheckpointError, match=r"net\.native' is damaged: there is no program"):
        open_engine(file)
    words = tensors[PROGRAM].copy()
    words[1] += 1  # one step more than there is
    save_file({**tensors, PROGRAM: words}, file, about)
    with pytest.raises(CheckpointError, match=r"net\.native' is damaged: the program has"):
        open_engine(file)
    file.write_bytes(b"no safetensors" * 9)
    with pytest.raises(CheckpointError, match=r"net\.native' is no native file that can be read"):
        open_engine(file)
