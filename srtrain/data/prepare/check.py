"""Check every file of a data set and report all problems at once.

Opening a data set stops at the first fault; this module lists the same folders and continues after a fault.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from srtrain.data import DATASETS
from srtrain.data.folders import LAYOUTS, ON_THE_FLY, Layout, Matched, Pair, files_in, first_five, match
from srtrain.data.header import FOREIGN_SUFFIXES, SUFFIXES, Header, notices
from srtrain.data.parallel import in_parallel
from srtrain.data.picture import look, read_rgb
from srtrain.data.resize import crop_to_multiple, imresize, make_lq
from srtrain.errors import DataError, counted
from srtrain.metrics import published
from srtrain.metrics.protocol import basicsr_rgb, paper_y
from srtrain.registry import check_arguments

TOLERANCE_DB = 0.05  # papers differ by 0.01 to 0.02 from each other; another imresize changes more than 0.1
ALIKE = 0.99  # pictures whose 16×16 thumbnails correlate at least this much count as copies of each other


@dataclass(frozen=True)
class Finding:
    """One problem or remark about a data set; a fault makes it unfit for training or for a result."""

    kind: str
    message: str
    fault: bool = True


@dataclass
class Report:
    """The findings of one data set at one scale; ``psnr`` and ``published`` are in dB."""

    name: str
    scale: int
    n_pictures: int = 0
    sizes: str = ""
    modes: dict[str, int] = field(default_factory=dict)
    psnr: float | None = None
    published: float | None = None
    verdict: str = ""
    findings: list[Finding] = field(default_factory=list)

    @property
    def n_faults(self) -> int:
        """Return the number of findings that are faults."""
        return sum(finding.fault for finding in self.findings)

    def fault(self, kind: str, message: str) -> None:
        """Add a fault."""
        self.findings.append(Finding(kind, message))

    def notice(self, kind: str, message: str) -> None:
        """Add a remark that is not a fault."""
        self.findings.append(Finding(kind, message, fault=False))


@dataclass(frozen=True)
class Seen:
    """One decoded file: its header, (height, width), a hash of its pixels, and a normalised 16×16 grey thumbnail."""

    path: Path
    header: Header
    size: tuple[int, int]
    pixels: str
    thumbnail: NDArray[np.float32]


def check_set(name: str, arguments: dict[str, Any], with_psnr: bool = True) -> tuple[Report, list[Seen]]:
    """Check one data set; return the report and the ground truths, for `compare`.

    Raises:
        DataError: a folder is missing.
        UnknownNameError: there is no such data set.
        RecipeError: the data set does not take these arguments.
    """
    check_arguments(f"data set {name!r}", DATASETS.get(name), arguments)
    scale = int(arguments["scale"])
    report = Report(name, scale)
    pairs, lonely = _list(name, arguments, report)
    files = sorted({path for pair in pairs for path in (pair.gt, pair.lq) if path} | set(lonely))
    seen = dict(zip(files, in_parallel(_examine, files, f"reading {name}"), strict=True))
    for result in seen.values():
        if isinstance(result, DataError):
            report.fault("unreadable", str(result))
    good = {path: result for path, result in seen.items() if isinstance(result, Seen)}
    report.n_pictures = len(pairs)
    truths = [good[path] for path in sorted({pair.gt for pair in pairs}) if path in good]
    _describe(report, good, truths)
    sound = [pair for pair in pairs if _sizes_fit(pair, good, report)]
    for one, other, how in _copies(truths, truths):
        report.notice("duplicate", f"{one.path.name} and {other.path.name} of this set {how}.")
    if with_psnr and sound:
        _bicubic(report, sound, good, str(arguments.get("lr_type", "bicubic")))
    return report, truths


def compare(name: str, train: Sequence[Seen], report: Report, tests: Sequence[Seen]) -> None:
    """Add to the report of a test set which of its pictures are also in the training set ``name``."""
    for one, other, how in _copies(train, tests):
        message = (
            f"{str(one.path)!r} of {name} and {str(other.path)!r} {how}: a score on it would not be valid."
        )
        if one.pixels == other.pixels:
            report.fault("duplicate", message)
        else:
            report.notice("duplicate", message)


def _list(name: str, arguments: dict[str, Any], report: Report) -> tuple[list[Pair], list[Path]]:
    """Return the pairs, and the files without a partner."""
    if name not in LAYOUTS:
        return DATASETS.build(name, **arguments), []
    layout = LAYOUTS[name](**arguments)
    matched = _match(layout, report)
    for complaint in matched.complaints(layout):
        report.fault("pairs", complaint)
    try:
        pairs = layout.choose(matched.pairs)
    except DataError as error:
        report.fault("incomplete", str(error))
        pairs = matched.pairs
    return pairs, [*matched.gt_only, *matched.lq_only, *matched.ambiguous]


def _match(layout: Layout, report: Report) -> Matched:
    gt_files = _files(layout.gt_dir, layout, report)
    lq_files = None if layout.lq_dir is None else _files(layout.lq_dir, layout, report)
    return match(gt_files, lq_files, layout.scale)


def _files(directory: Path, layout: Layout, report: Report) -> list[Path]:
    if not directory.is_dir():
        raise DataError(f"{layout.what}: there is no folder {str(directory)!r}.")
    foreign = files_in(directory, FOREIGN_SUFFIXES)
    if foreign:
        where = str(directory)
        report.fault(
            "format", f"{counted(len(foreign), 'file')} in {where!r} cannot be read: {first_five(foreign)}."
        )
    files = files_in(directory, SUFFIXES)
    if not files:
        report.fault("empty", f"the folder {str(directory)!r} contains no picture.")
    return files


def _examine(path: Path) -> Seen | DataError:
    try:
        header, rgb = look(path), read_rgb(path)
    except DataError as error:
        return error
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    tiny = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    tiny -= tiny.mean()
    strength = float(np.linalg.norm(tiny))
    pixels = hashlib.sha256(repr(rgb.shape).encode())
    pixels.update(np.ascontiguousarray(rgb).data)
    return Seen(
        path, header, (rgb.shape[0], rgb.shape[1]), pixels.hexdigest(), tiny / strength if strength else tiny
    )


def _describe(report: Report, good: dict[Path, Seen], truths: Sequence[Seen]) -> None:
    headers = {path: seen.header for path, seen in good.items()}
    for notice in notices(headers):
        report.notice("colour", notice)
    kinds = Counter(f"{seen.header.mode} {seen.header.bits} bit" for seen in truths)
    report.modes = dict(kinds.most_common())
    grey = [seen.path for seen in truths if seen.header.mode == "grey"]
    if grey:
        report.notice(
            "colour", f"{len(grey)} grey, will be read as three equal channels: {first_five(grey)}."
        )
    if truths:
        small, large = min(truths, key=_area), max(truths, key=_area)
        report.sizes = f"{_words(small.size)} to {_words(large.size)}"
    uneven = [seen.path for seen in truths if seen.size[0] % report.scale or seen.size[1] % report.scale]
    if uneven:
        what = f"{len(uneven)} of {len(truths)} ground truths are cropped to a multiple of {report.scale}"
        report.notice("size", f"{what}: {first_five(uneven)}.")


def _sizes_fit(pair: Pair, good: dict[Path, Seen], report: Report) -> bool:
    if pair.gt not in good or (pair.lq is not None and pair.lq not in good):
        return False
    gt = good[pair.gt].size
    wanted = (gt[0] // report.scale, gt[1] // report.scale)
    if min(wanted) < 1:
        report.fault("size", f"{str(pair.gt)!r} is {_words(gt)}: nothing is left at x{report.scale}.")
        return False
    if pair.lq is not None and good[pair.lq].size != wanted:
        report.fault(
            "size",
            f"{str(pair.lq)!r} is {_words(good[pair.lq].size)} but must be {_words(wanted)}, because "
            f"{str(pair.gt)!r} is {_words(gt)} and the scale is {report.scale}.",
        )
        return False
    return True


def _bicubic(report: Report, pairs: Sequence[Pair], good: dict[Path, Seen], lr_type: str) -> None:
    """Measure the PSNR of bicubic enlargement and compare it with the papers, which reveals a wrong imresize."""
    scale = report.scale
    y, raw = paper_y(), basicsr_rgb()

    def measure(pair: Pair) -> float:
        gt = read_rgb(pair.gt)
        lq = make_lq(gt, scale) if pair.lq is None else read_rgb(pair.lq)
        protocol = raw if good[pair.gt].header.mode == "grey" else y
        gt = crop_to_multiple(gt, scale)
        if "psnr" not in protocol.measurable(gt, scale):
            return math.nan
        return float(protocol.psnr(imresize(lq, scale), gt, scale))

    found = np.array(list(in_parallel(measure, pairs, f"bicubic x{scale} of {report.name}")))
    for kind, which in (
        ("too small to be scored inside the border", np.isnan(found)),
        ("equal to their bicubic enlargement (infinite PSNR), such as flat pictures", np.isinf(found)),
    ):
        names = [pair.gt for pair, is_one in zip(pairs, which, strict=True) if is_one]
        if names:
            report.notice("psnr", f"{len(names)} {kind}, so not in the bicubic PSNR: {first_five(names)}.")
    if not np.isfinite(found).any():
        report.verdict = "no picture has a bicubic PSNR"
        return
    report.psnr = float(found[np.isfinite(found)].mean())
    report.published = published.BICUBIC.get(report.name, {}).get(scale)
    if report.published is None or lr_type not in ("bicubic", ON_THE_FLY):
        report.verdict = "nothing published to compare with"
        return
    off = report.psnr - report.published
    if abs(off) <= TOLERANCE_DB:
        report.verdict = "as published"
        return
    report.verdict = f"{off:+.2f} dB off"
    report.fault(
        "bicubic",
        f"the bicubic PSNR is {report.psnr:.2f} dB, but {report.published:.2f} dB is published. Either the low "
        f"resolution was not made by MATLAB's imresize, or the ground truth is another copy. Make the low resolution "
        f"with 'srtrain data bicubic', or download the ground truth again.",
    )


def _copies(ones: Sequence[Seen], others: Sequence[Seen]) -> list[tuple[Seen, Seen, str]]:
    """Return pairs of pictures that are equal, or the same picture saved or scaled again; each pair once."""
    if not ones or not others:
        return []
    same_set = ones is others
    likeness = np.stack([seen.thumbnail for seen in ones]) @ np.stack([seen.thumbnail for seen in others]).T
    found = []
    for i, j in np.argwhere(likeness >= ALIKE):
        if same_set and i >= j:
            continue
        how = (
            "hold the same pixels" if ones[i].pixels == others[j].pixels else "look like copies of each other"
        )
        found.append((ones[i], others[j], how))
    return found


def _area(seen: Seen) -> int:
    return seen.size[0] * seen.size[1]


def _words(size: tuple[int, int]) -> str:
    return f"{size[1]}×{size[0]} px"
