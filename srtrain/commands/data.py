"""``srtrain data unpack|check|bicubic|cache``: get the pictures ready, and know that they are right."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import json
from pathlib import Path
from typing import Any

from srtrain.errors import DataError
from srtrain.evaluation.table import aligned

EXAMPLES = """\
examples:
  srtrain data unpack DIV2K_train_HR.zip DIV2K_train_LR_bicubic_X2.zip --to data/DIV2K
  srtrain data bicubic data/T91/HR --scale 2 3 4
  srtrain data check set5 --root data --scale 2 3 4
  srtrain data check div2k_train --root data --scale 2 --against set5 set14=other/folder
  srtrain data check folder --root my_pictures --scale 2 lr_type=on_the_fly --json
  srtrain data cache div2k_train --root data --scale 2
"""


HELP = "unpack, check and prepare pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the four actions."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    unpack = actions.add_parser("unpack", help="unpack the official zip files and count the pictures")
    unpack.add_argument("zips", metavar="ZIP", nargs="+", type=Path)
    unpack.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="where to unpack")
    unpack.set_defaults(action=run_unpack)

    check = actions.add_parser("check", help="look at every file of a data set and say what is wrong")
    _add_set(check)
    check.add_argument(
        "--against", metavar="SET[=ROOT]", nargs="+", default=[], help="test sets that must share no picture"
    )
    check.add_argument(
        "--no-psnr", action="store_true", help="leave out the bicubic PSNR, which takes longest"
    )
    check.add_argument("--json", action="store_true", help="print JSON instead of the table")
    check.set_defaults(action=run_check)

    bicubic = actions.add_parser(
        "bicubic", help="write folders of low resolution as MATLAB's imresize makes it"
    )
    bicubic.add_argument("gt", metavar="FOLDER", type=Path, help="the ground truth")
    bicubic.add_argument("--scale", metavar="N", type=int, nargs="+", default=[2, 3, 4])
    bicubic.add_argument(
        "--to", metavar="FOLDER", type=Path, help="instead of LR_bicubic beside the ground truth"
    )
    bicubic.add_argument("--overwrite", action="store_true", help="replace files that are there")
    bicubic.set_defaults(action=run_bicubic)

    cache = actions.add_parser("cache", help="decode a data set into the cache that data.cache=mmap reads")
    _add_set(cache)
    cache.add_argument(
        "--dir", metavar="FOLDER", type=Path, help="instead of $SRTRAIN_CACHE or ~/.cache/srtrain"
    )
    cache.set_defaults(action=run_cache)


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("set", metavar="SET", help="a data set, such as div2k_train, set5, folder")
    parser.add_argument(
        "overrides", metavar="key=value", nargs="*", help="its other arguments, such as split=valid"
    )
    parser.add_argument("--root", metavar="FOLDER", help="where it lies")
    parser.add_argument("--scale", metavar="N", type=int, nargs="+", default=[2])
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="NAME", help="plugin that supplies the set"
    )


def run(args: argparse.Namespace) -> int:
    """Do the action that was named; return the exit code."""
    return int(args.action(args))


def run_unpack(args: argparse.Namespace) -> int:
    """Unpack each zip file, and say how many pictures each folder has."""
    from srtrain.data.unpack import unpack

    for zip_file in args.zips:
        for part in unpack(zip_file, args.to):
            known = "" if part.n_expected is None else ", as it has to be"
            print(f"{args.to / part.folder}: {part.n_pictures} pictures{known}")
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Check a data set at each scale, and its test sets; exit code 1 where there is a fault."""
    from srtrain.data.check import check_set, compare

    _load_plugins(args)
    reports = []
    for scale in args.scale:
        report, pictures = check_set(args.set, _arguments(args.set, args, scale), not args.no_psnr)
        reports.append(report)
        for other in args.against:
            name, _, root = other.partition("=")
            arguments = _arguments(name, argparse.Namespace(root=root or args.root, overrides=[]), scale)
            test_report, test_pictures = check_set(name, arguments, not args.no_psnr)
            compare(args.set, pictures, test_report, test_pictures)
            reports.append(test_report)
    n_faults = sum(report.n_faults for report in reports)
    if args.json:
        print(json.dumps({"ok": n_faults == 0, "sets": [dataclasses.asdict(r) for r in reports]}, indent=2))
    else:
        print(_table(reports))
        print(f"{n_faults} fault(s)" if n_faults else "no faults")
    return 1 if n_faults else 0


def run_bicubic(args: argparse.Namespace) -> int:
    """Write low-resolution folders."""
    from srtrain.data.bicubic import default_target, write_bicubic

    if min(args.scale) < 2:
        raise DataError(f"--scale {min(args.scale)} makes no low resolution; 2, 3 and 4 are usual.")
    target = args.to or default_target(args.gt)
    n_files = write_bicubic(args.gt, target, args.scale, args.overwrite)
    print(f"wrote {n_files} pictures below {target}")
    return 0


def run_cache(args: argparse.Namespace) -> int:
    """Decode what is not in the cache yet."""
    from srtrain.data import DATASETS
    from srtrain.data.cache import MappedPictures, default_cache_dir
    from srtrain.data.store import Pictures, n_bytes

    _load_plugins(args)
    for scale in args.scale:
        pairs = DATASETS.build(args.set, **_arguments(args.set, args, scale))
        sizes = Pictures(pairs, scale, cache="none").lq_sizes
        mapped = MappedPictures(pairs, scale, sizes, args.dir)
        print(
            f"{args.set} x{scale}: {len(pairs)} pairs, {n_bytes(sizes, scale) / 1e9:.2f} GB, {mapped.n_decoded} files "
            f"decoded now, in {args.dir or default_cache_dir()}"
        )
    return 0


def _load_plugins(args: argparse.Namespace) -> None:
    from srtrain import plugins

    for name in args.plugin:
        plugins.activate(name)


def _arguments(name: str, args: argparse.Namespace, scale: int) -> dict[str, Any]:
    """Return the keyword arguments of a data set: its scale, its root where it has one, and ``key=value``."""
    from srtrain.data import DATASETS
    from srtrain.registry import parameters_of

    arguments: dict[str, Any] = {"scale": scale}
    if args.root is not None and "root" in parameters_of(DATASETS.get(name)):
        arguments["root"] = args.root
    for override in args.overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise DataError(f"{override!r} is not of the form key=value, such as lr_type=unknown.")
        try:
            arguments[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            arguments[key] = text
    return arguments


def _table(reports: list[Any]) -> str:
    head = ("set", "scale", "pairs", "sizes", "colours", "bicubic", "published", "verdict", "faults")
    rows = [
        (
            report.name,
            f"x{report.scale}",
            str(report.n_pictures),
            report.sizes,
            ", ".join(f"{n} {mode}" for mode, n in report.modes.items()),
            "" if report.psnr is None else f"{report.psnr:.3f} dB",
            "" if report.published is None else f"{report.published:.2f} dB",
            report.verdict,
            str(report.n_faults),
        )
        for report in reports
    ]
    lines = [aligned(head, rows)]
    for report in reports:
        for finding in sorted(report.findings, key=lambda finding: not finding.fault):
            word = "FAULT" if finding.fault else "notice"
            lines.append(f"{report.name} x{report.scale}: {word} ({finding.kind}): {finding.message}")
    return "\n".join(lines)
