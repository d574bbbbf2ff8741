"""Unpack, check and prepare pictures."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json

from srtrain.data import DATASETS
from srtrain.data.cache import MappedPictures, default_cache_dir
from srtrain.data.prepare.bicubic import default_target, write_bicubic
from srtrain.data.prepare.check import Report, check_set, compare
from srtrain.data.prepare.unpack import unpack
from srtrain.data.store import Pictures, n_bytes
from srtrain.errors import counted
from srtrain.evaluation.table import aligned
from srtrain.jobs.sets import set_arguments


def run(args: argparse.Namespace) -> int:
    """Run the action that was named; return the exit code."""
    return {"unpack": run_unpack, "check": run_check, "bicubic": run_bicubic, "cache": run_cache}[
        args.action
    ](args)


def run_unpack(args: argparse.Namespace) -> int:
    """Unpack each zip file and print how many pictures each folder has."""
    for zip_file in args.zips:
        for part in unpack(zip_file, args.to):
            known = "" if part.n_expected is None else ", as expected"
            print(f"{args.to / part.folder}: {counted(part.n_pictures, 'picture')}{known}")
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Check data sets at each scale, and their test sets; the exit code is 1 if there is a fault."""
    reports = []
    for (name, root), scale in itertools.product(args.sets, args.scale):
        own = set_arguments(name, root or args.root, scale, **args.set_arguments)
        report, pictures = check_set(name, own, not args.no_psnr)
        reports.append(report)
        for other, other_root in args.against:
            arguments = set_arguments(other, other_root or args.root, scale)
            test_report, test_pictures = check_set(other, arguments, not args.no_psnr)
            compare(name, pictures, test_report, test_pictures)
            reports.append(test_report)
    n_faults = sum(report.n_faults for report in reports)
    if args.json:
        print(json.dumps({"ok": n_faults == 0, "sets": [dataclasses.asdict(r) for r in reports]}, indent=2))
    else:
        print(_table(reports))
        print(counted(n_faults, "fault") if n_faults else "no faults")
    return 1 if n_faults else 0


def run_bicubic(args: argparse.Namespace) -> int:
    """Write low-resolution folders."""
    target = args.to or default_target(args.gt)
    n_files = write_bicubic(args.gt, target, args.scale, args.overwrite)
    print(f"wrote {counted(n_files, 'picture')} below {target}")
    return 0


def run_cache(args: argparse.Namespace) -> int:
    """Decode the files that are not in the cache yet."""
    for (name, root), scale in itertools.product(args.sets, args.scale):
        pairs = DATASETS.build(name, **set_arguments(name, root or args.root, scale, **args.set_arguments))
        sizes = Pictures(pairs, scale, cache="none").lq_sizes
        mapped = MappedPictures(pairs, scale, sizes, args.dir)
        print(
            f"{name} x{scale}: {counted(len(pairs), 'pair')}, {n_bytes(sizes, scale) / 1e9:.2f} GB, "
            f"{counted(mapped.n_decoded, 'file')} decoded now, in {args.dir or default_cache_dir()}"
        )
    return 0


def _table(reports: list[Report]) -> str:
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
