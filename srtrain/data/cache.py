"""Decoded pictures in memory-mapped files, so that reading a patch reads a few pages instead of a whole PNG.

One folder of pictures becomes one pack, a folder of the cache with two files:

    pictures.u8      uint8 HWC RGB, one picture after the other
    manifest.jsonl   one line per picture: its offset, its shape, the size, time and hash of its source file, and a
                     checksum of these values

The manifest is a journal: a line is appended after the picture is on the disk, so a build that was killed continues
where it stopped. A later line for the same source replaces an earlier one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import re
import zlib
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
from srtrain.data.picture import cannot_read, cannot_write, read_grey, read_rgb, size_of, write_bytes
from srtrain.data.resize import make_lq
from srtrain.errors import DataError, MachineError, counted
from srtrain.files import lack_of_space, sha256_of, take_lock
from srtrain.files.json_file import Whole, checked

Size = tuple[int, int]

_FORMAT = "1"  # cache format version; changing it makes a new folder
_ENTRY = {
    "name": str,
    **dict.fromkeys(("source_bytes", "offset"), Whole()),
    **dict.fromkeys(("height", "width"), Whole(1, 2**31)),
    "source_mtime_ns": int,
    "sha256": str,
    "check": Whole(),
}
_SYNC_EVERY = 16  # pictures; a kill loses at most this many
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """The place and shape of one decoded picture, and the state of its source file when it was decoded."""

    name: str
    source_bytes: int
    source_mtime_ns: int
    sha256: str
    height: int
    width: int
    offset: int

    @property
    def n_bytes(self) -> int:
        """Return the size of the decoded picture."""
        return self.height * self.width * 3

    def is_of(self, source: Path) -> bool:
        """Return whether the source file still has the size and time that it had when it was decoded."""
        stat = source.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.source_bytes, self.source_mtime_ns)


class Pack:
    """The decoded pictures of one folder, read through one memory map.

    Opening a pack decodes missing and changed pictures with ``decode`` to ``sizes`` (height, width). Several processes
    may open it at once: one decodes, the others wait.

    Raises:
        DataError: a picture cannot be read, the disk is too small, or the cache cannot be written.
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
        """Release the mapped pages; they stay in the system's cache but no longer count as memory of this process."""
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
        """Read the journal, without lines that a kill cut short or damage changed, and without entries without pixels.

        The pictures of such lines are decoded again.
        """
        if not self._manifest.is_file() or not self._pixels_file.is_file():
            return {}
        n_bytes = self._pixels_file.stat().st_size
        try:
            lines = self._manifest.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise cannot_read(self._manifest, error) from error
        entries = (_entry(line) for line in lines if line.endswith(b"\n"))
        return {
            entry.name: entry
            for entry in entries
            if entry is not None and entry.offset + entry.n_bytes <= n_bytes
        }

    def _build(self, sizes: dict[Path, Size]) -> None:
        old = self._read_manifest()
        slots, n_bytes = _slots(sizes, old)
        _refuse_full_disk(self._home, n_bytes - _end(old.values()), len(slots))
        # From here on the pixels of changed pictures are invalid, so their entries are removed first.
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
        """Decode one picture into its slot, unless only the time of its file changed; return whether it was decoded."""
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
    """The pictures of a data set, one pack per folder; data sets and scales share the packs, and grey has its own.

    ``lq_sizes`` are the low-resolution sizes (height, width) of the pairs. ``n_decoded`` counts the pictures that were
    not in the cache yet.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        scale: int,
        lq_sizes: Sequence[Size],
        cache_dir: Path | None = None,
        grey: bool = False,
    ) -> None:
        self._scale = scale
        self._lq_sizes = lq_sizes
        home = (cache_dir or default_cache_dir()) / f"v{_FORMAT}"
        read, suffix = (read_grey, "-grey") if grey else (read_rgb, "")
        make = partial(_made, scale=scale, read=read)
        gt = {pair.gt: size_of(pair.gt) for pair in pairs}
        lq = {p.lq: size for p, size in zip(pairs, lq_sizes, strict=True) if p.lq is not None}
        made = {p.gt: size for p, size in zip(pairs, lq_sizes, strict=True) if p.lq is None}
        packs = (
            _packs(home, gt, suffix, read),
            _packs(home, lq, suffix, read),
            _packs(home, made, f"-x{scale}{suffix}", make),
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
        """Release the mapped pages, so that the memory of this process does not grow with the set."""
        for pack in self._packs:
            pack.release()


def default_cache_dir() -> Path:
    """Return ``$SRTRAIN_CACHE``, or ``srtrain`` in the user's cache folder if that is not set."""
    given = os.environ.get("SRTRAIN_CACHE")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "srtrain"


def _packs(
    home: Path, sizes: dict[Path, Size], suffix: str, decode: Callable[[Path], UInt8]
) -> dict[Path, Pack]:
    """Open one pack for each folder of the sources."""
    by_folder: dict[Path, dict[Path, Size]] = {}
    for source, size in sizes.items():
        by_folder.setdefault(source.parent, {})[source] = size
    return {
        folder: Pack(home / f"{_readable(folder)}{suffix}", list(inside), list(inside.values()), decode)
        for folder, inside in by_folder.items()
    }


def _readable(folder: Path) -> str:
    """Return the name of a folder's pack: the end of its path, to be readable, and a hash of the path, to be unique."""
    path = folder.resolve()
    words = re.sub(r"[^A-Za-z0-9_.]+", "-", "-".join(path.parts[-3:])).strip("-")
    return f"{words}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _made(source: Path, scale: int, read: Callable[[Path], UInt8]) -> UInt8:
    return make_lq(read(source), scale)


def _slots(sizes: dict[Path, Size], old: dict[str, Entry]) -> tuple[dict[Path, Entry], int]:
    """Return a slot for each picture (the old one if it still fits, else one at the end), and the end of the last."""
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


def _entry(line: bytes) -> Entry | None:
    """Return the entry in a line, or ``None`` if the line is damaged: a wrong offset would give another picture."""
    try:
        values = checked(line, _ENTRY)
        check = values.pop("check")
        entry = Entry(**values)
    except (ValueError, TypeError):
        return None
    return entry if check == _check(entry) else None


def _line(entry: Entry) -> bytes:
    return json.dumps({**asdict(entry), "check": _check(entry)}).encode() + b"\n"


def _check(entry: Entry) -> int:
    return zlib.crc32(json.dumps(asdict(entry)).encode())


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise cannot_read(path, error) from error


def _refuse_full_disk(home: Path, n_bytes: int, n_pictures: int) -> None:
    if problem := lack_of_space(home, n_bytes):
        raise MachineError(
            f"the cache {str(home)!r} has no room for {counted(n_pictures, 'picture')}: {problem}. Nothing was "
            f"written. Free some space, or choose another place with SRTRAIN_CACHE or data.cache_dir."
        )
