"""Which files make a data set: folders, DIV2K and the benchmark sets by name, listed as pairs.

Nothing is decoded here. Every data set is a function in `DATASETS` that returns a list of `Pair`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from srtrain.data.header import FOREIGN_SUFFIXES, SUFFIXES
from srtrain.errors import DataError
from srtrain.registry import DATASETS

ON_THE_FLY = "on_the_fly"
"""The ``lr_type`` that reads no low-resolution files: they are made from the ground truth."""


@dataclass(frozen=True)
class Pair:
    """One picture: its ground truth and its low-resolution file, or None where that is made on the fly."""

    name: str
    gt: Path
    lq: Path | None


@DATASETS.register
def folder(
    root: str, scale: int, lr_type: str = "bicubic", first: int | None = None, last: int | None = None
) -> list[Pair]:
    """List ``root/HR`` with ``root/LR_{lr_type}/X{scale}``, sorted by name.

    A folder without ``HR`` is taken as the ground truth itself; ``lr_type="on_the_fly"`` reads no
    low-resolution files. ``first`` and ``last`` are places in the sorted list, from 1, both included.

    Raises:
        DataError: a missing or empty folder, files without a partner, places beyond the end.
    """
    base = _existing(Path(root).expanduser(), "data set")
    gt_dir = base / "HR" if (base / "HR").is_dir() else base
    pairs = pair_folders(gt_dir, _lq_dir(base / f"LR_{lr_type}", scale, lr_type), scale, f"data set {root!r}")
    start, end = 1 if first is None else first, len(pairs) if last is None else last
    if not 1 <= start <= end <= len(pairs):
        raise DataError(
            f"data set {root!r} has {len(pairs)} pictures; first={first!r}, last={last!r} does not "
            "choose from "
            f"1 to {len(pairs)}."
        )
    return pairs[start - 1 : end]


@DATASETS.register
def div2k(
    root: str,
    scale: int,
    split: str = "train",
    lr_type: str = "bicubic",
    first: int | None = None,
    last: int | None = None,
) -> list[Pair]:
    """List ``DIV2K_{split}_HR`` with ``DIV2K_{split}_LR_{lr_type}/X{scale}``, in ``root`` or ``root/DIV2K``.

    ``first`` and ``last`` are the pictures' own numbers, both included; where one is given, every number up
    to it has to be there.

    Raises:
        DataError: a missing or empty folder, files without a partner, numbers that are missing.
    """
    base = _existing(Path(root).expanduser(), f"DIV2K {split} set")
    if not (base / f"DIV2K_{split}_HR").is_dir() and (base / "DIV2K").is_dir():
        base = base / "DIV2K"
    gt_dir = base / f"DIV2K_{split}_HR"
    lq_dir = _lq_dir(base / f"DIV2K_{split}_LR_{lr_type}", scale, lr_type)
    what = f"DIV2K {split} set"
    pairs = pair_folders(gt_dir, lq_dir, scale, what)
    if first is None and last is None:
        return pairs
    numbers = {pair.gt: _number(pair.gt, what) for pair in pairs}
    start = min(numbers.values()) if first is None else first
    end = max(numbers.values()) if last is None else last
    chosen = [pair for pair in pairs if start <= numbers[pair.gt] <= end]
    missing = sorted(set(range(start, end + 1)) - set(numbers.values()))
    if missing or not chosen:
        raise DataError(
            f"{what} in {str(gt_dir)!r} is incomplete: of the pictures {start} to {end}, {len(missing)} are "
            f"missing: {first_five([f'{n:04d}' for n in missing])}. Unpack the official zip files again "
            f"(srtrain data unpack), or choose with first= and last=."
        )
    return chosen


@DATASETS.register
def div2k_train(root: str, scale: int, lr_type: str = "bicubic") -> list[Pair]:
    """List DIV2K 1-800, the training pictures."""
    return div2k(root, scale, "train", lr_type, 1, 800)


@DATASETS.register
def div2k_valid(root: str, scale: int, lr_type: str = "bicubic") -> list[Pair]:
    """List DIV2K 801-900, the validation pictures of the published tables."""
    return div2k(root, scale, "valid", lr_type, 801, 900)


@DATASETS.register
def div2k_valid10(root: str, scale: int, lr_type: str = "bicubic") -> list[Pair]:
    """List DIV2K 801-810, what EDSR-PyTorch watches while it trains."""
    return div2k(root, scale, "valid", lr_type, 801, 810)


def benchmark_set(title: str, n_pictures: int, root: str, scale: int, lr_type: str = "bicubic") -> list[Pair]:
    """List a benchmark set: ``root`` is its own folder, or holds it (also under ``benchmark``).

    Raises:
        DataError: as `folder`, and another number of pictures than the set is known to have.
    """
    base = Path(root).expanduser()
    places = [base, base / title, base / "benchmark" / title]
    found = [place for place in places if (place / "HR").is_dir()]
    if not found:
        raise DataError(
            f"benchmark set {title} is not there: none of "
            f"{', '.join(repr(str(place)) for place in places)} has "
            f"a folder HR. Give the folder that holds {title}/HR and {title}/LR_{lr_type}/X{scale}."
        )
    pairs = folder(str(found[-1]), scale, lr_type)
    if len(pairs) != n_pictures:
        raise DataError(
            f"benchmark set {title} has {n_pictures} pictures and {str(found[-1] / 'HR')!r} has "
            f"{len(pairs)}; a "
            f"result on it would not be comparable. To use the folder as it is, name the data set 'folder'."
        )
    return pairs


N_PICTURES = {"Set5": 5, "Set14": 14, "B100": 100, "Urban100": 100, "Manga109": 109}
for _title, _n_pictures in N_PICTURES.items():
    DATASETS.register(_title.lower())(partial(benchmark_set, _title, _n_pictures))


def pair_folders(gt_dir: Path, lq_dir: Path | None, scale: int, what: str) -> list[Pair]:
    """Pair two folders by name: ``0801.png`` with ``0801.png``, ``0801x2.png`` or DIV2K's ``0801x4m.png``.

    Raises:
        DataError: names the set, both folders and the first files without a partner.
    """
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise DataError(f"{what}: scale={scale!r} is no whole number from 1 up.")
    gt_files = list_pictures(gt_dir, what)
    if lq_dir is None:
        return [Pair(path.stem, path, None) for path in gt_files]
    by_name: dict[str, Path] = {}
    for path in gt_files:
        if path.stem in by_name:
            raise DataError(
                f"{what}: {path.name!r} and {by_name[path.stem].name!r} share a name in {str(gt_dir)!r}."
            )
        by_name[path.stem] = path
    pairs, lonely = [], []
    for path in list_pictures(lq_dir, what):
        stem = path.stem if path.stem in by_name else _without_scale(path.stem, scale)
        if stem in by_name:
            # Two degraded copies of one picture (DIV2K wild) are two pairs and need two names.
            name = stem if path.stem in (stem, f"{stem}x{scale}") else path.stem
            pairs.append(Pair(name, by_name[stem], path))
        else:
            lonely.append(path.name)
    _refuse_unmatched(
        what, gt_dir, lq_dir, sorted({p.name for p in gt_files} - {p.gt.name for p in pairs}), lonely
    )
    _refuse_doubles(what, lq_dir, pairs)
    return sorted(pairs, key=lambda pair: pair.name)


def list_pictures(directory: Path, what: str) -> list[Path]:
    """List the pictures of a folder, sorted by name; hidden files and other kinds of files are passed over.

    Raises:
        DataError: the folder is missing, empty, or holds pictures of a format that is not read.
    """
    _existing(directory, what)
    visible = [path for path in directory.iterdir() if not path.name.startswith(".") and path.is_file()]
    foreign = sorted(path.name for path in visible if path.suffix.lower() in FOREIGN_SUFFIXES)
    if foreign:
        raise DataError(
            f"{what}: {str(directory)!r} holds {len(foreign)} file(s) of a format that is not read: "
            f"{first_five(foreign)}. Convert them to PNG or remove them. Read are {', '.join(SUFFIXES)}."
        )
    pictures = sorted(path for path in visible if path.suffix.lower() in SUFFIXES)
    if not pictures:
        raise DataError(
            f"{what}: the folder {str(directory)!r} holds no picture ({', '.join(SUFFIXES)}); it has "
            f"{len(visible)} other file(s)."
        )
    return pictures


def first_five(names: Sequence[str]) -> str:
    """Join at most five names for a message and count the rest."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _existing(directory: Path, what: str) -> Path:
    if directory.is_dir():
        return directory
    if directory.exists():
        raise DataError(f"{what}: {str(directory)!r} is a file; a folder of pictures is wanted.")
    parent = next((p for p in directory.absolute().parents if p.is_dir()), Path("/"))
    inside = sorted(p.name for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))
    raise DataError(
        f"{what}: there is no folder {str(directory)!r}. The nearest that exists is "
        f"{str(parent)!r}, with the "
        f"folders {first_five(inside) or '(none)'}."
    )


def _lq_dir(base: Path, scale: int, lr_type: str) -> Path | None:
    """Return ``base/X{scale}``, or ``base`` for the parts of DIV2K that lack that level."""
    if lr_type == ON_THE_FLY:
        return None
    with_scale = base / f"X{scale}"
    if base.is_dir() and not with_scale.is_dir() and not any(base.glob("X[0-9]*")):
        return base
    if not with_scale.is_dir():
        there = sorted(p.name for p in base.glob("X[0-9]*")) if base.is_dir() else []
        hint = f"It has {', '.join(there)}" if there else f"There is no folder {str(base)!r}"
        raise DataError(
            f"there are no low-resolution pictures for x{scale} in {str(with_scale)!r}. {hint}. "
            "Make them with "
            f"'srtrain data bicubic', or write lr_type={ON_THE_FLY!r} to make them while reading."
        )
    return with_scale


def _without_scale(stem: str, scale: int) -> str:
    """``0801x4`` -> ``0801``; also DIV2K's mild, difficult and wild names ``0801x4m``, ``x4d``, ``x4w1``."""
    return re.sub(rf"x{scale}([mdw]\d*)?$", "", stem)


def _number(path: Path, what: str) -> int:
    if not path.stem.isdecimal():
        raise DataError(
            f"{what}: {str(path)!r} is not named by a number, so first= and last= cannot choose it."
        )
    return int(path.stem)


def _refuse_unmatched(what: str, gt_dir: Path, lq_dir: Path, gt_only: list[str], lq_only: list[str]) -> None:
    if not gt_only and not lq_only:
        return
    sides = [
        f"{len(names)} of {str(here)!r} have no partner in {str(there)!r}: {first_five(names)}"
        for names, here, there in ((gt_only, gt_dir, lq_dir), (lq_only, lq_dir, gt_dir))
        if names
    ]
    raise DataError(f"{what}: the pictures of two folders do not pair. {'; '.join(sides)}.")


def _refuse_doubles(what: str, lq_dir: Path, pairs: list[Pair]) -> None:
    seen: dict[str, Pair] = {}
    for pair in pairs:
        if pair.name in seen:
            names = sorted(p.lq.name for p in (pair, seen[pair.name]) if p.lq is not None)
            raise DataError(
                f"{what}: {' and '.join(names)} in {str(lq_dir)!r} both belong to {pair.gt.name!r}. "
                "Remove one."
            )
        seen[pair.name] = pair
