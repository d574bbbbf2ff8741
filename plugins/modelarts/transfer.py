"""Copy files between a store and this machine: retry failures, skip existing files, and lock the folder."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TypeVar

from tqdm import tqdm

from srtrain.data.picture import cannot_write
from srtrain.errors import DataError, MachineError, cannot, masked
from srtrain.files import lack_of_space, take_lock, whole_file

from .store import Store, StoreError

T = TypeVar("T")
Say = Callable[[str], None]

N_TRIES = 6
LONGEST_WAIT_SECONDS = 60
_N_THREADS = 8


def print_line(text: str) -> None:
    """Print a line to standard error, while there is no log."""
    tqdm.write(masked(text), file=sys.stderr)


def persist(do: Callable[[], T], say: Say, pause: Callable[[float], object] | None = None) -> T:
    """Call ``do``, which uses a store; if it fails, try again after 1, 2, 4, … seconds, ``N_TRIES`` times in all.

    Raises:
        StoreError: the last attempt failed.
        StoreRefusalError: the store refused; this is not tried again.
    """
    for n_tried in range(1, N_TRIES):
        try:
            return do()
        except StoreError as error:
            wait = min(2 ** (n_tried - 1), LONGEST_WAIT_SECONDS)
            say(f"{error}; trying again in {wait} s (attempt {n_tried} of {N_TRIES} failed)")
            (pause or time.sleep)(wait)
    return do()


def fetch(
    store: Store, sizes: Mapping[str, int], place: Callable[[str], Path], say: Say, always: bool = False
) -> int:
    """Download the files that are missing or have another size (with ``always``, all); return how many.

    A file gets its name only after it is complete.

    Raises:
        DataError: the disk is too small, or a name points out of the target folder.
        StoreError, StoreRefusalError: a file could not be downloaded.
    """
    for name in sizes:
        if ".." in PurePosixPath(name).parts or name.startswith("/"):
            raise DataError(f"{store.url} contains {name!r}, a name that points out of the target folder.")
    wanted = {name: size for name, size in sizes.items() if always or not _is_there(place(name), size)}
    if not wanted:
        return 0
    _refuse_full_disk(sum(wanted.values()), place(next(iter(wanted))), store.url)
    with (
        ThreadPoolExecutor(_N_THREADS) as pool,
        tqdm(total=sum(wanted.values()), unit="B", unit_scale=True, desc=store.url, disable=None) as bar,
    ):
        running = [pool.submit(_fetch_one, store, n, size, place(n), say) for n, size in wanted.items()]
        try:
            for size, future in zip(wanted.values(), running, strict=True):
                future.result()
                bar.update(size)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return len(wanted)


def _fetch_one(store: Store, name: str, size: int, file: Path, say: Say) -> None:
    def download(part: Path) -> None:
        store.download(name, part)
        if part.stat().st_size != size:
            raise StoreError(f"{store.url}/{name} arrived with {part.stat().st_size} bytes instead of {size}")

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as part:
            persist(lambda: download(part), say)
    except OSError as error:
        raise cannot_write(file, error) from error


def _is_there(file: Path, size: int) -> bool:
    return file.is_file() and file.stat().st_size == size


def _refuse_full_disk(n_bytes: int, file: Path, url: str) -> None:
    if problem := lack_of_space(file.parent, n_bytes):
        raise MachineError(
            f"the files of {url} do not fit: {problem}. Nothing was downloaded. Set hooks.modelarts.data_path and "
            f"output_path to a larger disk."
        )


@contextlib.contextmanager
def one_at_a_time(file: Path, say: Say) -> Iterator[None]:
    """Hold a lock, so that only one process of this machine runs the block at a time; the others wait.

    Raises:
        DataError: the lock file cannot be created.
    """
    try:
        lock = take_lock(
            file, lambda holder: say(f"{holder} is fetching the files of this run; waiting for it")
        )
    except OSError as error:
        advice = "Set hooks.modelarts.output_path to a writable folder."
        raise cannot(f"cannot write {str(file)!r}", error, advice, DataError) from error
    with lock:
        yield
