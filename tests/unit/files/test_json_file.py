"""Damaged JSON is one error that names the file, whatever the damage is."""

import json
import os

import pytest

from srtrain.errors import CheckpointError, RecipeError
from srtrain.files.json_file import FINITE, Whole, checked, read_json

SHAPE = {
    "step": Whole(),
    "names": [str],
    "size?": ([Whole(1)], None),
    "seconds?": FINITE,
    "score?": {str: float},
}
GOOD = {
    "step": 3,
    "names": ["a", "ü"],
    "size": [4, 5],
    "seconds": 1.5,
    "score": {"psnr": 1},
    "more": [None, True],
}


def test_what_is_right_comes_back(tmp_path):
    file = tmp_path / "x.json"
    file.write_text(json.dumps(GOOD), encoding="utf-8")
    assert read_json(file, SHAPE) == GOOD
    assert checked('{"step": 0, "names": [], "size": null}', SHAPE) == {"step": 0, "names": [], "size": None}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b'{"step": 3, "na', "Unterminated string"),
        (b'{"step": 3, "names": ["\xff"]}', "codec can't decode"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"step": 3, "names": [], "x": ' + b"[" * 200 + b"]" * 200 + b"}", "nested too deeply"),
        (b'{"step": 1' + b"0" * 5000 + b', "names": []}', "64 bits"),
        (b'{"step": 3, "names": ["\\ud800"]}', "surrogates not allowed"),
        (b"[]", r"it holds \[\] instead of an object"),
        (b'{"names": []}', "it has no 'step'"),
        (b'{"step": -1, "names": []}', "'step' is -1 instead of a whole number from 0 on"),
        (b'{"step": 3.0, "names": []}', "'step' is 3.0 instead of"),
        (b'{"step": true, "names": []}', "'step' is true instead of"),
        (b'{"step": 3, "names": "ab"}', "'names' is \"ab\" instead of a list"),
        (b'{"step": 3, "names": ["a", 7]}', r"'names\[1\]' is 7 instead of text"),
        (
            b'{"step": 3, "names": [], "size": [4, 0]}',
            r"'size\[1\]' is 0 instead of a whole number from 1 on",
        ),
        (b'{"step": 3, "names": [], "seconds": NaN}', "'seconds' is NaN instead of a finite number"),
        (b'{"step": 3, "names": [], "score": {"psnr": "1"}}', "'score.psnr' is \"1\" instead of a number"),
    ],
)
def test_damage_is_named(tmp_path, content, reason):
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"x\.json' is damaged \(.*{reason}.*\)\. Delete it\.$"):
        read_json(file, SHAPE, remedy="Delete it.")


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")  # reading it would wait for ever
    (tmp_path / "folder.json").mkdir()
    for name, reason in {"pipe": "not a regular", "folder": "not a regular", "gone": "no such file"}.items():
        with pytest.raises(RecipeError, match=rf"{name}\.json' is damaged \(.*{reason}"):
            read_json(tmp_path / f"{name}.json", SHAPE, error=RecipeError)
