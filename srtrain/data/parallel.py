"""Process many pictures in threads; decoding and file access release Python's lock, so processes are not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from srtrain.device.cores import usable_cores

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(work: Callable[[T], R], items: Iterable[T], progress: str | None = None) -> Iterator[R]:
    """Yield ``work(item)`` for each item, in order, computed by as many threads as there are cores.

    ``progress`` is the title of a progress bar, shown if the output is a terminal. The first error is raised, and items
    that were not started are dropped.
    """
    todo = list(items)
    executor = ThreadPoolExecutor(max_workers=usable_cores())
    try:
        results = executor.map(work, todo)
        from tqdm import tqdm  # takes a tenth of the start-up of a command

        yield from tqdm(results, desc=progress, total=len(todo), disable=None if progress else True)
    finally:
        executor.shutdown(cancel_futures=True)
