"""Decoded pictures in memory-mapped files, so that a patch costs a few pages instead of a whole PNG.

One folder of pictures becomes one pack, a folder of the cache with two files:

    pictures.u8      uint8 HWC RGB, one picture after the other
    manifest.jsonl   a line a picture: where it lies, its shape, and the size, time and hash of its source

The manifest is a journal: a line is appended once the picture is on the disk, so a build that was killed
goes on where it was. A later line for the same source replaces the earlier one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from srtrain.arrays import UInt8
from srtrain.data.folders import Pair
from srtrain.data.parallel import in_parallel
from srtrain.data.picture import cannot_read, cannot_write, read_rgb, size_of, write_bytes
from srtrain.data.resize import make_lq
from srtrain.errors import DataError, counted
from srtrain.files import lack_of_space, take_lock

Size = tuple[int, int]

_FORMAT = "1"  # of the files, and of what is computed into them: another number is another folder
_SYNC_EVERY = 16  # pictures: what a kill can cost
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One decoded picture in a pack, and the state of the file that it was decoded from."""

    name: str
    source_bytes: int
    source_mtime_ns: int
    sha256: str
    height: int
    width: int
    offset: int

    @property
    def n_bytes(self) -> int:
        """Bytes of the decoded picture."""
        return self.height * self.width * 3

    def is_of(self, source: Path) -> bool:
        """Whether the source file still has the size and time that it was decoded at."""
        stat = source.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.source_bytes, self.source_mtime_ns)


class Pack:
    """The decoded pictures of one folder, read through one memory map.

    Opening it decodes what is missing or has changed, with ``decode``, into pictures of ``sizes``. Several
    processes may open it at once: one decodes, the others wait for it.

    Raises:
        DataError: an unreadable picture, a disk that is too small, or a cache that cannot be written.
    """

    def __init__(
        self, home: Path, sources: Sequence[Path], sizes: Sequence[Size], decode: Callable[[Path], UInt8]
    ) -> None:
        self._home = home
        self._pixels_file = home / "pictures.u8"
        self._manifest = home / "manifest.jsonl"
        self._decode = decode
        self.n_decoded = 0
        if self._outdated(sources):
            with self._lock():
                outdated = self._outdated(sources)  # another process may have done it while this one waited
                if outdated:
                    self._build({s: size for s, size in zip(sources, sizes, strict=True) if s in outdated})
        self._entries = self._read_manifest()
        with self._pixels_file.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._pixels: UInt8 = np.frombuffer(self._map, np.uint8)

    def __getitem__(self, source: Path) -> UInt8:
        entry = self._entries[source.name]
        pixels = self._pixels[entry.offset : entry.offset + entry.n_bytes]
        return pixels.reshape(entry.height, entry.width, 3)

    def release(self) -> None:
        """Give the mapped pages back; the system keeps them cached, but no longer as this process's."""
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._map.madvise(mmap.MADV_DONTNEED)

    def _lock(self) -> AbstractContextManager[object]:
        """Let one process at a time change the pack."""

        def warn(holder: str) -> None:
            _log.warning("waiting for %s, which builds the cache %s", holder, self._home)

        try:
            return take_lock(self._home / "lock", warn)
        except OSError as error:
            raise cannot_write(self._home, error) from error

    def _outdated(self, sources: Sequence[Path]) -> set[Path]:
        entries = self._read_manifest()
        return {s for s in sources if s.name not in entries or not entries[s.name].is_of(s)}

    def _read_manifest(self) -> dict[str, Entry]:
        """Read the journal; a last line cut short by a kill does not count, nor do entries without pixels."""
        if not self._manifest.is_file() or not self._pixels_file.is_file():
            return {}
        n_bytes = self._pixels_file.stat().st_size
        lines = self._manifest.read_text().splitlines(keepends=True)
        entries = [Entry(**json.loads(line)) for line in lines if line.endswith("\n")]
        return {entry.name: entry for entry in entries if entry.offset + entry.n_bytes <= n_bytes}

    def _build(self, sizes: dict[Path, Size]) -> None:
        old = self._read_manifest()
        slots, n_bytes = _slots(sizes, old)
        _refuse_full_disk(self._home, n_bytes - _end(old.values()), len(slots))
        # The pixels of a changed picture are in doubt from here on: forget them before they are overwritten.
        names = {source.name for source in sizes}
        write_bytes(self._manifest, b"".join(_line(e) for name, e in old.items() if name not in names))
        try:
            with self._pixels_file.open("ab") as file:
                file.truncate(n_bytes)
            with self._pixels_file.open("r+b") as pixels, self._manifest.open("ab") as journal:
                work = partial(self._fill, old)
                done = in_parallel(work, slots.items(), progress=f"decoding into {self._home.name}")
                while batch := list(islice(done, _SYNC_EVERY)):
                    os.fsync(pixels.fileno())
                    journal.write(b"".join(_line(entry) for entry, _ in batch))
                    journal.flush()
                    self.n_decoded += sum(decoded for _, decoded in batch)
        except OSError as error:
            raise cannot_write(self._home, error) from error

    def _fill(self, old: dict[str, Entry], slot: tuple[Path, Entry]) -> tuple[Entry, bool]:
        """Decode one picture into its slot, unless only the time of its file has changed; say which."""
        source, entry = slot
        entry = replace(entry, sha256=_sha256(source))
        before = old.get(source.name)
        if before is not None and (before.sha256, before.offset) == (entry.sha256, entry.offset):
            return entry, False
        picture = self._decode(source)
        if picture.shape != (entry.height, entry.width, 3):
            raise DataError(f"picture {str(source)!r} was changed while it was read; start again.")
        with self._pixels_file.open("r+b") as pixels:  # each thread needs a position of its own
            pixels.seek(entry.offset)
            pixels.write(np.ascontiguousarray(picture).data)
        return entry, True


class MappedPictures:
    """The pictures of a data set, each folder in a pack of its own; data sets and scales share the packs.

    ``lq_sizes`` are the pairs' low-resolution sizes. ``n_decoded`` counts the pictures that were not in the
    cache yet.
    """

    def __init__(
        self, pairs: Sequence[Pair], scale: int, lq_sizes: Sequence[Size], cache_dir: Path | None = None
    ) -> None:
        self._scale = scale
        self._lq_sizes = lq_sizes
        home = (cache_dir or default_cache_dir()) / f"v{_FORMAT}"
        make = partial(_made, scale=scale)
        gt = {pair.gt: size_of(pair.gt) for pair in pairs}
        lq = {p.lq: size for p, size in zip(pairs, lq_sizes, strict=True) if p.lq is not None}
        made = {p.gt: size for p, size in zip(pairs, lq_sizes, strict=True) if p.lq is None}
        packs = (
            _packs(home, gt, "", read_rgb),
            _packs(home, lq, "", read_rgb),
            _packs(home, made, f"-x{scale}", make),
        )
        gt_packs, lq_packs, made_packs = packs
        self._packs = [pack for group in packs for pack in group.values()]
        self._gt = [(gt_packs[p.gt.parent], p.gt) for p in pairs]
        self._lq = [
            (made_packs[p.gt.parent], p.gt) if p.lq is None else (lq_packs[p.lq.parent], p.lq) for p in pairs
        ]
        self.n_decoded = sum(pack.n_decoded for pack in self._packs)

    def gt(self, i: int) -> UInt8:
        """Return a ground truth."""
        pack, source = self._gt[i]
        height, width = self._lq_sizes[i]
        return pack[source][: height * self._scale, : width * self._scale]

    def lq(self, i: int) -> UInt8:
        """Return a low-resolution picture."""
        pack, source = self._lq[i]
        return pack[source]

    def release(self) -> None:
        """Give the mapped pages back, so that this process stays small however large the set is."""
        for pack in self._packs:
            pack.release()


def default_cache_dir() -> Path:
    """Return ``$SRTRAIN_CACHE``, else ``srtrain`` in the user's cache folder."""
    given = os.environ.get("SRTRAIN_CACHE")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "srtrain"


def _packs(
    home: Path, sizes: dict[Path, Size], suffix: str, decode: Callable[[Path], UInt8]
) -> dict[Path, Pack]:
    """Open one pack for each folder that the sources lie in."""
    by_folder: dict[Path, dict[Path, Size]] = {}
    for source, size in sizes.items():
        by_folder.setdefault(source.parent, {})[source] = size
    return {
        folder: Pack(home / f"{_readable(folder)}{suffix}", list(inside), list(inside.values()), decode)
        for folder, inside in by_folder.items()
    }


def _readable(folder: Path) -> str:
    """Name a folder's pack: the end of its path for people, a hash of the whole path to be unique."""
    path = folder.resolve()
    words = re.sub(r"[^A-Za-z0-9_.]+", "-", "-".join(path.parts[-3:])).strip("-")
    return f"{words}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _made(source: Path, scale: int) -> UInt8:
    return make_lq(read_rgb(source), scale)


def _slots(sizes: dict[Path, Size], old: dict[str, Entry]) -> tuple[dict[Path, Entry], int]:
    """Give each picture a place: its old one where it still fits, else the end. Returns the end, too."""
    end = _end(old.values())
    slots = {}
    for source, (height, width) in sizes.items():
        stat = source.stat()
        slot = Entry(source.name, stat.st_size, stat.st_mtime_ns, "", height, width, end)
        before = old.get(source.name)
        if before is not None and before.n_bytes == slot.n_bytes:
            slot = replace(slot, offset=before.offset)
        else:
            end += slot.n_bytes
        slots[source] = slot
    return slots, end


def _end(entries: Iterable[Entry]) -> int:
    return max((entry.offset + entry.n_bytes for entry in entries), default=0)


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry)).encode() + b"\n"


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise cannot_read(path, error) from error


def _refuse_full_disk(home: Path, n_bytes: int, n_pictures: int) -> None:
    if problem := lack_of_space(home, n_bytes):
        raise DataError(
            f"the cache {str(home)!r} has no room for {counted(n_pictures, 'picture')}: {problem}. Nothing was "
            f"written. Free some space, or choose another place with SRTRAIN_CACHE or data.cache_dir."
        )
