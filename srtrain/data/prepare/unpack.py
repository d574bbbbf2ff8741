"""Unpack the official zip files of data sets safely, and count the pictures."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from srtrain.data.header import SUFFIXES
from srtrain.data.picture import cannot_read, cannot_write
from srtrain.errors import DataError
from srtrain.files import lack_of_space, whole_file
from srtrain.files.archive import bomb_in

# The sizes of DIV2K; its "wild" degradation has four files for each training picture.
_N_PICTURES = {"train": 800, "valid": 100}
_N_WILD_TRAIN = 3200


@dataclass(frozen=True)
class Unpacked:
    """The number of pictures in a folder of a zip file, and the expected number if it is known."""

    folder: str
    n_pictures: int
    n_expected: int | None


def unpack(zip_file: Path, target: Path) -> list[Unpacked]:
    """Unpack one zip file into ``target`` and count its pictures, folder by folder.

    Raises:
        DataError: the zip file is missing or damaged, has a path outside ``target``, does not fit on the disk, would
            become more than 100 times as large, or has another number of pictures than DIV2K.
    """
    try:
        with zipfile.ZipFile(zip_file) as archive:
            members = _safe_members(archive, zip_file)
            _refuse_full_disk(members, target, zip_file)
            if problem := bomb_in(archive):
                raise DataError(f"zip file {str(zip_file)!r} is refused: {problem}. Nothing was unpacked.")
            for member, name in tqdm(members, desc=zip_file.name, disable=None):
                _unpack_one(archive, member, target / name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            f"zip file {str(zip_file)!r} is damaged or not readable: {error}. Download it again."
        ) from error
    except FileNotFoundError as error:
        raise cannot_read(zip_file, error) from error
    except OSError as error:
        raise cannot_write(target, error) from error
    return _counted([name for _, name in members], zip_file)


def _unpack_one(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path) -> None:
    """Unpack one file piece by piece, so that its size does not matter; it appears complete or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(place) as hidden:
        with archive.open(member) as packed, hidden.open("wb") as file:
            shutil.copyfileobj(packed, file)
        n_bytes = hidden.stat().st_size
        if n_bytes != member.file_size:
            raise zipfile.BadZipFile(f"{member.filename!r} has {n_bytes} bytes, not {member.file_size}")


def _safe_members(archive: zipfile.ZipFile, zip_file: Path) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Return the files with their paths; refuse the whole zip file if one path leads out of the target."""
    members = []
    for member in archive.infolist():
        name = PurePosixPath(member.filename.replace("\\", "/"))
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        if name.is_absolute() or ".." in name.parts or re.match(r"[A-Za-z]:", member.filename) or is_link:
            raise DataError(
                f"zip file {str(zip_file)!r} contains {member.filename!r}, a name or link that points outside the "
                f"target folder. Nothing was unpacked; do not trust this file."
            )
        if not member.is_dir():
            if not name.name:
                raise DataError(
                    f"zip file {str(zip_file)!r} contains a file without a name. Nothing was unpacked; do not trust "
                    f"this file."
                )
            members.append((member, name))
    return members


def _refuse_full_disk(
    members: Sequence[tuple[zipfile.ZipInfo, PurePosixPath]], target: Path, zip_file: Path
) -> None:
    target.mkdir(parents=True, exist_ok=True)
    if problem := lack_of_space(target, sum(member.file_size for member, _ in members)):
        raise DataError(f"zip file {str(zip_file)!r} does not fit: {problem}. Nothing was unpacked.")


def _counted(names: Sequence[PurePosixPath], zip_file: Path) -> list[Unpacked]:
    pictures = Counter(str(name.parent) for name in names if name.suffix.lower() in SUFFIXES)
    counted = [Unpacked(folder, n, _expected(folder)) for folder, n in sorted(pictures.items())]
    wrong = [part for part in counted if part.n_expected not in (None, part.n_pictures)]
    if wrong:
        parts = ", ".join(f"{part.folder} has {part.n_pictures} of {part.n_expected}" for part in wrong)
        raise DataError(f"zip file {str(zip_file)!r} is incomplete: {parts} pictures. Download it again.")
    return counted


def _expected(folder: str) -> int | None:
    found = re.match(r"DIV2K_(train|valid)_(HR|LR_\w+)", folder)
    if found is None:
        return None
    split, kind = found.groups()
    return _N_WILD_TRAIN if (split, kind) == ("train", "LR_wild") else _N_PICTURES[split]
