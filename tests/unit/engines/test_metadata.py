"""Damaged metadata of an exported file are one error that names the file."""

from pathlib import Path

import pytest

from srtrain.engines.exported import metadata
from srtrain.errors import CheckpointError

DAMAGE = {
    "cut": '{"scale"',
    "a list": "[]",
    "no batch": '{"scale": 2, "batch": 0}',
    "text": '{"scale": "2"}',
    "nothing": '{"scale": null}',
    "huge": '{"scale": 1e400}',
    "one side": '{"scale": 2, "input_px": [3]}',
    "negative": '{"scale": 2, "receptive_px": -1}',
    "deep": '{"scale": 2, "model_args": ' + "[" * 5000,
}


@pytest.mark.parametrize("text", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named(text):
    with pytest.raises(
        CheckpointError, match=r"the metadata of 'x\.onnx' is damaged: .*Export the network again"
    ):
        metadata(text, Path("x.onnx"))


def test_a_foreign_file_has_none():
    assert metadata("", Path("x.onnx")) == {}
