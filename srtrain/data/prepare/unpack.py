"""Unpack the official zip files of data sets safely, and count the pictures."""

from __future__ import annotations

import lzma
import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from srtrain.data.header import SUFFIXES
from srtrain.errors import MACHINE_FAULTS, DataError, MachineError, SrtrainError, cannot
from srtrain.files import lack_of_space, whole_file
from srtrain.files.archive import bomb_in

# The sizes of DIV2K; its "wild" degradation has four files for each training picture.
_N_PICTURES = {"train": 800, "valid": 100}
_N_WILD_TRAIN = 3200
_DAMAGED = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OverflowError),
    *(struct.error, zlib.error, lzma.LZMAError),
)


@dataclass(frozen=True)
class Unpacked:
    """The number of pictures in a folder of a zip file, and the expected number if it is known."""

    folder: str
    n_pictures: int
    n_expected: int | None


def unpack(zip_file: Path, target: Path) -> list[Unpacked]:
    """Unpack one zip file into ``target`` and count its pictures, folder by folder.

    Raises:
        DataError: the zip file is missing or damaged, has a path outside ``target``, would become more than 100 times
            as large, or has another number of pictures than DIV2K.
        MachineError: it does not fit on the disk.
    """
    if zip_file.exists() and not (
        zip_file.is_file() or zip_file.is_dir()
    ):  # opening a pipe would wait for ever
        raise DataError(f"cannot read zip file {str(zip_file)!r}: it is not a regular file.")
    try:
        with zipfile.ZipFile(zip_file) as archive:
            members = _safe_members(archive, zip_file)
            if problem := lack_of_space(target, sum(member.file_size for member, _ in members)):
                raise MachineError(
                    f"zip file {str(zip_file)!r} does not fit: {problem}. Nothing was unpacked."
                )
            if problem := bomb_in(archive):
                raise DataError(f"zip file {str(zip_file)!r} is refused: {problem}. Nothing was unpacked.")
            target.mkdir(parents=True, exist_ok=True)
            for member, name in tqdm(members, desc=zip_file.name, disable=None):
                _unpack_one(archive, member, target / name)
    except OSError as error:
        raise _fault(error, zip_file, target) from error
    except _DAMAGED as error:
        raise DataError(
            f"zip file {str(zip_file)!r} is damaged or not readable: {error}. Download it again."
        ) from error
    return _counted([name for _, name in members], zip_file)


def _fault(error: OSError, zip_file: Path, target: Path) -> SrtrainError:
    """Return the error for a fault that the system reported."""
    if (
        error.filename is None and error.errno not in MACHINE_FAULTS
    ):  # such as a place before the start of the file
        return DataError(f"zip file {str(zip_file)!r} is damaged: {error}. Download it again.")
    if error.filename is not None and Path(os.fsdecode(error.filename)) == zip_file:
        return cannot(f"cannot read zip file {str(zip_file)!r}", error, kind=DataError)
    place = error.filename2 or error.filename or target
    return cannot(f"zip file {str(zip_file)!r}: cannot write {str(place)!r}", error, kind=DataError)


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
        if not member.filename.endswith("/"):  # member.is_dir() fails on an empty name
            if not name.name:
                raise DataError(
                    f"zip file {str(zip_file)!r} contains a file without a name. Nothing was unpacked; do not trust "
                    f"this file."
                )
            members.append((member, name))
    names = [name for _, name in members]
    folders = {folder for name in names for folder in name.parents}
    if twice := [name for name, n in Counter(names).items() if n > 1 or name in folders]:
        raise DataError(
            f"zip file {str(zip_file)!r} contains {str(twice[0])!r} twice, or as a file and as a folder. Nothing was "
            f"unpacked; do not trust this file."
        )
    return members


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
