"""A resumed run drops the damaged lines of ``metrics.jsonl`` and keeps the others byte by byte."""

import pytest

from srtrain.hooks.writers.metrics import _step_of

LINES = (
    b"\xff",
    b"",
    b"[1]",
    b'{"step"',
    b'{"step": "3"}',
    b'{"loss": 1}',
    b"[" * 9999,
    b'{"step": 1e999}',
    b"3",
)


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_damaged_line_belongs_to_no_step(line):
    assert _step_of(line) == float("inf")


def test_a_whole_line_belongs_to_its_step():
    assert _step_of(b'{"step": 7, "psnr": NaN}') == 7
