"""Impossible sizes and precisions."""

import pytest

from srtrain.errors import UserError
from srtrain.export.options import Options


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch": 0}, "batch is 0; it must be 1 or more"),
        ({"input_px": (4, -1)}, "input_px is -1"),
        ({"precision": "float_16"}, "precision is 'float_16'. Did you mean 'float16'"),
    ],
)
def test_impossible_options_are_refused(arguments, words):
    with pytest.raises(UserError, match=words):
        Options(**arguments)
