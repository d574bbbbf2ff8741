"""Automatic exports of checkpoints: one per content, independent of the name."""

import shutil

import pytest

from srtrain.errors import CheckpointError, ExportError
from srtrain.export import write
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
    digests = [digest(checkpoint(**tiny))]
    digests.append(digest(checkpoint(**tiny, recipe_hash="fedcba9876543210")))
    weights = (source := checkpoint(**tiny)) / "model.ckpt"
    assert digest(source) == digests[0]
    weights.write_bytes(weights.read_bytes() + b" ")
    assert len({*digests, digest(source)}) == 3


def test_another_format_of_the_cache_is_another_file(checkpoint, tiny, monkeypatch):
    source = checkpoint(**tiny)
    first = digest(source)
    monkeypatch.setattr(cached, "_FORMAT", "another")
    assert digest(source) != first


@pytest.mark.parametrize("what", ["flipped", "cut", "no record", "record of another"])
def test_a_damaged_file_of_the_cache_is_written_again(checkpoint, tiny, what, capfd):
    source = checkpoint(**tiny)
    file = cached_export(source, ".onnx")
    good, beside = file.read_bytes(), file.with_name(file.name + ".json")
    if what == "flipped":
        file.write_bytes(
            good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1 :]
        )
    elif what == "cut":
        file.write_bytes(good[:-1])
    elif what == "no record":
        beside.unlink()
    else:
        beside.write_bytes(beside.read_bytes().replace(file.name.encode(), b"gone.onnx"))
    capfd.readouterr()
    assert cached_export(source, ".onnx") == file
    assert "note: exporting" in capfd.readouterr().err
    assert open_engine(file).about["model"] == "edsr"
    assert cached_export(source, ".onnx") == file
    assert "note: exporting" not in capfd.readouterr().err


def test_a_refusal_is_remembered_until_something_that_decides_it_changes(
    checkpoint, tiny, monkeypatch, capfd
):
    source, tried = checkpoint(**tiny), []

    def refuse(source, target, *_, **__):
        tried.append(target)
        raise ExportError("the operator Fancy cannot be written")

    monkeypatch.setattr(write, "export", refuse)
    for _ in range(2):
        with pytest.raises(ExportError, match="Fancy"):
            cached_export(source, ".onnx")
    assert len(tried) == 1
    monkeypatch.setattr(cached, "code_hash", lambda: "of an edited model")
    with pytest.raises(ExportError, match="Fancy"):
        cached_export(source, ".onnx")
    assert len(tried) == 2
    refused = tried[-1].with_name(tried[-1].name + ".refused")
    refused.write_bytes(b"\xff\xfe")  # damaged: it is found out anew
    with pytest.raises(ExportError, match="Fancy"):
        cached_export(source, ".onnx")
    assert (len(tried), refused.read_text()) == (3, "the operator Fancy cannot be written\n")


def test_what_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint in"):
        cached_export(tmp_path, ".onnx")
