"""Graph or line by line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mindspore as ms


@contextmanager
def pynative() -> Iterator[None]:
    """Run line by line in this block, which compiles nothing and calls the hooks of cells."""
    before = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        yield
    finally:
        ms.set_context(mode=before)
