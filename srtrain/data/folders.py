"""Which files make a data set: folders, DIV2K and the benchmark sets by name, listed as pairs.

Nothing is decoded here. Every data set is a function in `DATASETS` that returns a list of `Pair`.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec

from srtrain.data import DATASETS
from srtrain.data.header import FOREIGN_SUFFIXES, SUFFIXES
from srtrain.errors import DataError, counted
from srtrain.recipe.schema import Spec
from srtrain.registry import parameters_of

ON_THE_FLY = "on_the_fly"
"""The ``lr_type`` that reads no low-resolution files: they are made from the ground truth."""

P = ParamSpec("P")


@dataclass(frozen=True)
class Pair:
    """One picture: its ground truth and its low-resolution file, or None where that is made on the fly."""

    name: str
    gt: Path
    lq: Path | None


@dataclass(frozen=True)
class Layout:
    """Where a data set lies: its two folders, and which of the pairs in them belong to it.

    ``what`` names the set in messages; ``lq_dir`` is None where low resolution is made on the fly.
    """

    what: str
    gt_dir: Path
    lq_dir: Path | None
    scale: int
    choose: Callable[[list[Pair]], list[Pair]]


LAYOUTS: dict[str, Callable[..., Layout]] = {}
"""The data sets of this module before their files are listed, for whoever lists them with more patience."""


def registered(name: str) -> Callable[[Callable[P, Layout]], Callable[P, list[Pair]]]:
    """Register a data set that is described by a `Layout`."""

    def register(layout: Callable[P, Layout]) -> Callable[P, list[Pair]]:
        in_roots = in_first_root(layout)

        @functools.wraps(layout)
        def pairs(*args: P.args, **kwargs: P.kwargs) -> list[Pair]:
            found = in_roots(*args, **kwargs)
            return found.choose(pair_folders(found))

        pairs.__module__ = __name__  # a partial says "functools"
        LAYOUTS[name] = in_roots
        filled = tuple(key for key in ("root", "scale") if key in inspect.signature(layout).parameters)
        DATASETS.register(name, from_run=filled)(pairs)
        return pairs

    return register


def in_first_root(layout: Callable[P, Layout]) -> Callable[P, Layout]:
    """Let a layout take several roots, joined with ``os.pathsep``: the first one that has the set is used.

    Raises:
        DataError: no root has the set; the message says for each root what is missing.
    """
    signature = inspect.signature(layout)
    of_one_root: Callable[..., Layout] = layout

    @functools.wraps(layout)
    def found(*args: P.args, **kwargs: P.kwargs) -> Layout:
        given = signature.bind(*args, **kwargs)
        roots = split_roots(str(given.arguments.get("root", "")))
        if len(roots) < 2:
            return layout(*args, **kwargs)
        reasons = []
        for root in roots:
            given.arguments["root"] = root
            try:
                candidate = of_one_root(*given.args, **given.kwargs)
            except DataError as error:
                reasons.append(f"{root!r}: {error}")
                continue
            if candidate.gt_dir.is_dir():
                return candidate
            reasons.append(f"{root!r}: there is no folder {str(candidate.gt_dir)!r}.")
        raise DataError("\n  ".join([f"none of {counted(len(roots), 'folder')} has the data set:", *reasons]))

    return found


def split_roots(root: str) -> list[str]:
    """Return the folders of ``A:B`` (``A;B`` on Windows); a folder with such a name is one folder."""
    if os.pathsep not in root or Path(root).expanduser().exists():
        return [root]
    return [part for part in root.split(os.pathsep) if part]


def needs_root(name: str, args: Iterable[str]) -> bool:
    """Return whether a data set takes its folder from the run, because its arguments do not give one."""
    if "root" not in DATASETS.from_run(name) or "root" in args:
        return False
    parameter = parameters_of(DATASETS.get(name))["root"]
    return parameter.default is parameter.empty


@registered("pairs")
def pairs(
    scale: int, gt_dir: str, lq_dir: str = "", first: int | None = None, last: int | None = None
) -> Layout:
    """List two folders that lie anywhere: the ground truth and the low resolution, paired by name.

    Args:
        scale: from the run.
        gt_dir: folder of the ground truth (``root_HR`` in other configurations).
        lq_dir: folder of the low resolution (``root_LR``), or one that contains ``X2``, ``X3``, …; empty makes the
            input from the ground truth with imresize.
        first: first picture, from 1; ``None`` starts at the beginning.
        last: last picture, included; ``None`` goes to the end.

    Raises:
        DataError: a missing or empty folder, files without a partner, places beyond the end.
    """
    what = f"data set of {gt_dir!r} and {lq_dir!r}" if lq_dir else f"data set of {gt_dir!r}"
    high = _existing(Path(gt_dir).expanduser(), what)
    low = None
    if lq_dir:
        low = _of_scale(_existing(Path(lq_dir).expanduser(), what), scale, "leave the low resolution out")
    return Layout(what, high, low, scale, _by_place(what, first, last))


@DATASETS.register("mix", from_run=("root", "scale"))
def mix(scale: int, sets: tuple[Spec, ...], weights: tuple[int, ...] = (), root: str = "") -> list[Pair]:
    """List several data sets one after the other; a weight of n lists each picture of its set n times.

    A patch is then cut n times as often from it as from a picture with weight 1. Its file is decoded once.

    Args:
        scale: from the run.
        sets: the data sets, such as ``(Spec("div2k_train"), Spec("folder", root="data/Flickr2K"))``.
        weights: a whole number of 1 or more for each set; empty means 1 for each.
        root: from the run: ``data.root``, for the sets that have no ``root`` of their own.

    Raises:
        DataError: there is no set, the weights do not fit, a set has no folder, or the error of a set.
    """
    weights = weights or (1,) * len(sets)
    if not sets:
        raise DataError("a mix needs data sets: sets=(Spec('div2k_train'), Spec('folder', root='FOLDER')).")
    if len(weights) != len(sets) or min(weights) < 1:
        raise DataError(
            f"a mix of {counted(len(sets), 'data set')} needs a weight of 1 or more for each; weights={weights!r}."
        )
    found = []
    for one, weight in zip(sets, weights, strict=True):
        if needs_root(one.name, one.args) and not root:
            raise DataError(
                f"the data set {one.name!r} of a mix needs its folder: Spec({one.name!r}, root='FOLDER')."
            )
        found += DATASETS.build(one.name, {"root": root, "scale": scale}, **one.args) * weight
    return found


@registered("folder")
def folder(
    root: str, scale: int, lr_type: str = "bicubic", first: int | None = None, last: int | None = None
) -> Layout:
    """List ``root/HR`` with ``root/LR_{lr_type}/X{scale}``, sorted by name.

    A folder without ``HR`` is taken as the ground truth itself; ``lr_type="on_the_fly"`` reads no
    low-resolution files. ``first`` and ``last`` are places in the sorted list, from 1, both included.

    Args:
        root: from the run: ``data.root``, unless given.
        scale: from the run.
        lr_type: ``bicubic`` or another folder ``LR_…`` of the set, such as ``unknown``;
            ``on_the_fly`` makes the input from the ground truth with imresize.
        first: first picture, from 1; ``None`` starts at the beginning.
        last: last picture, included; ``None`` goes to the end.

    Raises:
        DataError: a missing or empty folder, files without a partner, places beyond the end.
    """
    what = f"data set {root!r}"
    base = _existing(Path(root).expanduser(), what)
    gt_dir = base / "HR" if (base / "HR").is_dir() else base

    lq_dir = _lq_dir(base / f"LR_{lr_type}", scale, lr_type)
    return Layout(what, gt_dir, lq_dir, scale, _by_place(what, first, last))


def _by_place(what: str, first: int | None, last: int | None) -> Callable[[list[Pair]], list[Pair]]:
    """Return a choice of pairs by their places in the sorted list, from 1, both included."""

    def choose(pairs: list[Pair]) -> list[Pair]:
        start, end = 1 if first is None else first, len(pairs) if last is None else last
        if not 1 <= start <= end <= len(pairs):
            raise DataError(
                f"{what} has {counted(len(pairs), 'picture')}; first={first!r} and last={last!r} must choose from "
                f"1 to {len(pairs)}."
            )
        return pairs[start - 1 : end]

    return choose


@registered("div2k")
def div2k(
    root: str,
    scale: int,
    split: str = "train",
    lr_type: str = "bicubic",
    first: int | None = None,
    last: int | None = None,
) -> Layout:
    """List ``DIV2K_{split}_HR`` with ``DIV2K_{split}_LR_{lr_type}/X{scale}``, in ``root`` or ``root/DIV2K``.

    ``first`` and ``last`` are the pictures' own numbers, both included; where one is given, every number up
    to it has to be there.

    Args:
        root: from the run: ``data.root``, unless given.
        scale: from the run.
        split: ``train`` or ``valid``.
        lr_type: ``bicubic`` or another folder ``LR_…`` of the set, such as ``unknown``;
            ``on_the_fly`` makes the input from the ground truth with imresize.
        first: number of the first picture; ``None`` starts at the smallest.
        last: number of the last picture, included; ``None`` goes to the largest.

    Raises:
        DataError: a missing or empty folder, files without a partner, numbers that are missing.
    """
    return _div2k_layout(root, scale, split, lr_type, first, last)


@registered("div2k_train")
def div2k_train(root: str, scale: int, lr_type: str = "bicubic") -> Layout:
    """List DIV2K 1-800, the training pictures.

    Args:
        root: from the run: ``data.root``, unless given.
        scale: from the run.
        lr_type: ``bicubic`` or another folder ``LR_…`` of the set, such as ``unknown``;
            ``on_the_fly`` makes the input from the ground truth with imresize.
    """
    return _div2k_layout(root, scale, "train", lr_type, 1, 800)


@registered("div2k_valid")
def div2k_valid(root: str, scale: int, lr_type: str = "bicubic") -> Layout:
    """List DIV2K 801-900, the validation pictures of the published tables.

    Args:
        root: from the run: ``data.root``, unless given.
        scale: from the run.
        lr_type: ``bicubic`` or another folder ``LR_…`` of the set, such as ``unknown``;
            ``on_the_fly`` makes the input from the ground truth with imresize.
    """
    return _div2k_layout(root, scale, "valid", lr_type, 801, 900)


@registered("div2k_valid10")
def div2k_valid10(root: str, scale: int, lr_type: str = "bicubic") -> Layout:
    """List DIV2K 801-810, what EDSR-PyTorch watches while it trains.

    Args:
        root: from the run: ``data.root``, unless given.
        scale: from the run.
        lr_type: ``bicubic`` or another folder ``LR_…`` of the set, such as ``unknown``;
            ``on_the_fly`` makes the input from the ground truth with imresize.
    """
    return _div2k_layout(root, scale, "valid", lr_type, 801, 810)


def _div2k_layout(
    root: str, scale: int, split: str, lr_type: str, first: int | None, last: int | None
) -> Layout:
    what = f"DIV2K {split} set"
    base = _existing(Path(root).expanduser(), what)
    if not (base / f"DIV2K_{split}_HR").is_dir() and (base / "DIV2K").is_dir():
        base = base / "DIV2K"
    gt_dir = base / f"DIV2K_{split}_HR"

    def choose(pairs: list[Pair]) -> list[Pair]:
        if first is None and last is None:
            return pairs
        numbers = [_number(pair.gt, what) for pair in pairs]
        start = min(numbers) if first is None else first
        end = max(numbers) if last is None else last
        missing = sorted(set(range(start, end + 1)) - set(numbers))
        if missing or start > end:
            raise DataError(
                f"{what} in {str(gt_dir)!r} is incomplete: of the pictures {start} to {end}, {len(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing: {first_five([f'{n:04d}' for n in missing])}. Unpack "
                f"the official zip files again (srtrain data unpack). In a recipe, the data set 'div2k' "
                f"with first= and last= uses fewer."
            )
        return [pair for pair, number in zip(pairs, numbers, strict=True) if start <= number <= end]

    return Layout(what, gt_dir, _lq_dir(base / f"DIV2K_{split}_LR_{lr_type}", scale, lr_type), scale, choose)


def _benchmark_layout(title: str, n_pictures: int, root: str, scale: int, lr_type: str = "bicubic") -> Layout:
    """List a benchmark set: ``root`` is its own folder, holds it (also under ``benchmark``), or lies beside it.

    Args:
        title: name of the set and of its folder.
        n_pictures: number of its pictures.
        root: from the run: ``data.root``, unless given.
        scale: from the run.
        lr_type: ``bicubic`` or another folder ``LR_…`` of the set, such as ``unknown``;
            ``on_the_fly`` makes the input from the ground truth with imresize.

    Raises:
        DataError: as `folder`, and another number of pictures than the set is known to have.
    """
    base = Path(root).expanduser()
    above = Path(os.path.normpath(base.absolute())).parent  # data/Set5 lies beside data/DIV2K
    places = [base / title, base / "benchmark" / title, base, above / title, above / "benchmark" / title]
    home = next((place for place in places if (place / "HR").is_dir()), None)
    if home is None:
        raise DataError(
            f"benchmark set {title} was not found: none of "
            f"{', '.join(repr(str(place)) for place in places)} has a folder HR. "
            f"Give the folder that contains {title}/HR and {title}/LR_{lr_type}/X{scale}."
        )

    def choose(pairs: list[Pair]) -> list[Pair]:
        if len(pairs) != n_pictures:
            raise DataError(
                f"benchmark set {title} has {n_pictures} pictures, but {str(home / 'HR')!r} has {len(pairs)}, so a "
                "score on it would not be comparable. To use the folder as it is, name the data set 'folder'."
            )
        return pairs

    lq_dir = _lq_dir(home / f"LR_{lr_type}", scale, lr_type)
    return Layout(f"benchmark set {title}", home / "HR", lq_dir, scale, choose)


N_PICTURES = {"Set5": 5, "Set14": 14, "B100": 100, "Urban100": 100, "Manga109": 109}
for _title, _n_pictures in N_PICTURES.items():
    _layout = functools.partial(_benchmark_layout, _title, _n_pictures)
    _layout.__doc__ = _benchmark_layout.__doc__
    registered(_title.lower())(_layout)


def pair_folders(layout: Layout) -> list[Pair]:
    """Pair the files of two folders.

    Raises:
        DataError: names the set, both folders and the first files without a partner.
    """
    what, scale = layout.what, layout.scale
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise DataError(f"{what}: scale={scale!r} must be a whole number of 1 or more.")
    gt_files = list_pictures(layout.gt_dir, what)
    lq_files = None if layout.lq_dir is None else list_pictures(layout.lq_dir, what)
    matched = match(gt_files, lq_files, scale)
    complaints = matched.complaints(layout)
    if complaints:
        raise DataError(f"{what}: the pictures of two folders do not match. {' '.join(complaints)}")
    return matched.pairs


@dataclass(frozen=True)
class Matched:
    """Files that were paired by name, and those that could not be."""

    pairs: list[Pair]
    gt_only: list[Path]
    lq_only: list[Path]
    ambiguous: list[Path]

    def complaints(self, layout: Layout) -> list[str]:
        """Return a sentence for each thing that is wrong."""
        sides = ((self.gt_only, layout.gt_dir, layout.lq_dir), (self.lq_only, layout.lq_dir, layout.gt_dir))
        found = [
            f"{len(files)} of {str(here)!r} have no partner in {str(there)!r}: {first_five(files)}."
            for files, here, there in sides
            if files
        ]
        if self.ambiguous:
            found.append(
                f"{counted(len(self.ambiguous), 'file')} in {str(self.ambiguous[0].parent)!r} for a picture "
                f"that already has one: {first_five(self.ambiguous)}. Remove one of each."
            )
        return found


def match(gt_files: Sequence[Path], lq_files: Sequence[Path] | None, scale: int) -> Matched:
    """Pair by name: ``0801.png`` with ``0801.png``, ``0801x2.png`` or DIV2K's ``0801x4m.png``."""
    by_name: dict[str, Path] = {}
    pairs: dict[str, Pair] = {}
    lq_only, ambiguous = [], []
    for path in gt_files:
        if path.stem in by_name:
            ambiguous.append(path)
        else:
            by_name[path.stem] = path
    if lq_files is None:
        return Matched([Pair(name, path, None) for name, path in by_name.items()], [], [], ambiguous)
    for path in lq_files:
        stem = path.stem if path.stem in by_name else _without_scale(path.stem, scale)
        # Several degraded copies of one picture (DIV2K wild) are several pairs and need a name each.
        name = stem if path.stem in (stem, f"{stem}x{scale}") else path.stem
        if stem not in by_name:
            lq_only.append(path)
        elif name in pairs:
            ambiguous.append(path)
        else:
            pairs[name] = Pair(name, by_name[stem], path)
    paired = {pair.gt for pair in pairs.values()}
    gt_only = [path for path in by_name.values() if path not in paired]
    return Matched([pairs[name] for name in sorted(pairs)], gt_only, lq_only, ambiguous)


def list_pictures(directory: Path, what: str) -> list[Path]:
    """List the pictures of a folder, sorted by name; hidden files and other kinds of files are passed over.

    A link that leads nowhere, or a folder named like a picture, is listed too, so that reading it is an error.

    Raises:
        DataError: the folder is missing, empty, or holds pictures of a format that is not read.
    """
    _existing(directory, what)
    foreign = files_in(directory, FOREIGN_SUFFIXES)
    if foreign:
        raise DataError(
            f"{what}: {str(directory)!r} contains {counted(len(foreign), 'file')} in an unsupported format: "
            f"{first_five(foreign)}. Convert to PNG or remove. Supported: {', '.join(SUFFIXES)}."
        )
    pictures = files_in(directory, SUFFIXES)
    if not pictures:
        raise DataError(
            f"{what}: the folder {str(directory)!r} holds no picture ({', '.join(SUFFIXES)}) among its "
            f"{sum(1 for _ in directory.iterdir())} entries."
        )
    return pictures


def files_in(directory: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """List the visible entries of a folder with these suffixes, sorted by name."""
    visible = (path for path in directory.iterdir() if not path.name.startswith("."))
    return sorted(path for path in visible if path.suffix.lower() in suffixes)


def first_five(names: Sequence[str | Path]) -> str:
    """Join at most five names for a message and count the rest."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(name.name if isinstance(name, Path) else name for name in names[:5]) + more


def _existing(directory: Path, what: str) -> Path:
    if directory.is_dir():
        return directory
    if directory.exists():
        raise DataError(f"{what}: {str(directory)!r} is a file. Give a folder of pictures.")
    parent = next((p for p in directory.absolute().parents if p.is_dir()), Path("/"))
    inside = sorted(p.name for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))
    raise DataError(
        f"{what}: there is no folder {str(directory)!r}. The nearest existing folder is "
        f"{str(parent)!r}; it contains the folders {first_five(inside) or '(none)'}."
    )


def _lq_dir(base: Path, scale: int, lr_type: str) -> Path | None:
    """Return the folder of one scale, or ``None`` where low resolution is made.

    At x1, bicubic low resolution is the ground truth, so there is no folder.
    """
    if lr_type == ON_THE_FLY or (scale == 1 and lr_type == "bicubic"):
        return None
    return _of_scale(base, scale, f"set lr_type={ON_THE_FLY!r}")


def _of_scale(base: Path, scale: int, way_out: str) -> Path:
    """Return ``base/X{scale}``, or ``base`` for the parts of DIV2K that lack that level."""
    with_scale = base / f"X{scale}"
    if base.is_dir() and not with_scale.is_dir() and not any(base.glob("X[0-9]*")):
        return base
    if not with_scale.is_dir():
        there = sorted(p.name for p in base.glob("X[0-9]*")) if base.is_dir() else []
        hint = f"It has {', '.join(there)}" if there else f"There is no folder {str(base)!r}"
        raise DataError(
            f"there are no low-resolution pictures for x{scale} in {str(with_scale)!r}. {hint}. "
            f"Make them with 'srtrain data bicubic', or {way_out} to make them while reading."
        )
    return with_scale


def with_option(error: DataError, option: str) -> DataError:
    """Return an error that names ``lr_type`` as the command at hand takes it, such as ``--lr-type on_the_fly``."""
    return DataError(str(error).replace(f"lr_type={ON_THE_FLY!r}", option))


def _without_scale(stem: str, scale: int) -> str:
    """``0801x4`` -> ``0801``; also DIV2K's mild, difficult and wild names ``0801x4m``, ``x4d``, ``x4w1``."""
    return re.sub(rf"x{scale}([mdw]\d*)?$", "", stem)


def _number(path: Path, what: str) -> int:
    if not path.stem.isdecimal():
        raise DataError(
            f"{what}: {str(path)!r} is not named by a number, so first= and last= cannot choose it."
        )
    return int(path.stem)
