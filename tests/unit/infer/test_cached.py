"""Automatic exports of checkpoints: one per content, independent of the name."""

import shutil

import pytest

from srtrain.errors import CheckpointError
from srtrain.infer import cached
from srtrain.infer.cached import cached_export, digest
from srtrain.infer.open import open_engine


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SRTRAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_is_written_once_and_found_again_from_a_copy(checkpoint, tiny, tmp_path, cache, capfd):
    source = checkpoint(**tiny)
    file = cached_export(source, ".onnx")
    assert file.parent == cache / "exports"
    assert f"exporting {str(source)!r}" in capfd.readouterr().err
    copy = shutil.copytree(source, tmp_path / "elsewhere")
    stamp = file.stat().st_mtime_ns
    assert cached_export(copy, ".onnx") == file
    assert (file.stat().st_mtime_ns, capfd.readouterr().err) == (stamp, "")
    assert open_engine(file).scale == 2


def test_other_weights_and_other_words_about_them_are_another_file(checkpoint, tiny):
    source = checkpoint(**tiny)
    first = digest(source)
    state = source / "state.json"
    state.write_text(state.read_text().replace("0123456789abcdef", "fedcba9876543210"))
    second = digest(source)
    weights = source / "model.ckpt"
    weights.write_bytes(weights.read_bytes() + b" ")
    assert len({first, second, digest(source)}) == 3


def test_another_format_of_the_cache_is_another_file(checkpoint, tiny, monkeypatch):
    source = checkpoint(**tiny)
    first = digest(source)
    monkeypatch.setattr(cached, "_FORMAT", "another")
    assert digest(source) != first


def test_what_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint in"):
        cached_export(tmp_path, ".onnx")
