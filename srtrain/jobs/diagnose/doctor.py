"""Check this machine for everything that a run depends on, and say what to do about each problem."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from srtrain.errors import counted, listing
from srtrain.jobs.diagnose import machine
from srtrain.jobs.diagnose.machine import OK, PROBLEM, WARNING, Finding
from srtrain.kernels.compile import CannotBuildError
from srtrain.kernels.library import load_library

PYTHONS = ((3, 10), (3, 11), (3, 12))
ASCEND = Path("/usr/local/Ascend")


def run(args: argparse.Namespace) -> int:
    """Print the result of every check; the exit code is 1 if there is a problem."""
    findings = [finding for check in CHECKS for finding in check()]
    n_problems = sum(finding.level == PROBLEM for finding in findings)
    if args.json:
        print(
            json.dumps(
                {"ok": not n_problems, "findings": [dataclasses.asdict(f) for f in findings]}, indent=2
            )
        )
        return int(n_problems > 0)
    for finding in findings:
        print(f"{finding.level:<9}{finding.name:<15}{finding.says}")
        if finding.todo:
            print(f"{'':<24}→ {finding.todo}")
    n_warnings = sum(finding.level == WARNING for finding in findings)
    print(f"{counted(n_problems, 'problem')}, {counted(n_warnings, 'warning')}")
    return int(n_problems > 0)


def check_python() -> Iterator[Finding]:
    """Check the version of Python: MindSpore has wheels for three of them."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] in PYTHONS:
        yield Finding("python", OK, f"{version}, {sys.executable}")
    else:
        yield Finding(
            "python", PROBLEM, version, "MindSpore has wheels for 3.10, 3.11 and 3.12: use one of these"
        )


def check_packages() -> Iterator[Finding]:
    """Compare the versions of installed packages with those that srtrain requires."""
    try:
        requirements = [Requirement(text) for text in metadata.requires("srtrain") or []]
    except metadata.PackageNotFoundError:
        yield Finding("packages", WARNING, "srtrain is not installed as a package", "pip install '.[cpu]'")
        return
    fine = []
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Finding(
                "packages", PROBLEM, f"{requirement.name} is missing", f"pip install '{requirement}'"
            )
            continue
        if requirement.specifier.contains(version, prereleases=True):
            fine.append(f"{requirement.name} {version}")
        else:
            why = " (MindSpore is built against NumPy 1)" if requirement.name == "numpy" else ""
            yield Finding(
                "packages",
                PROBLEM,
                f"{requirement.name} {version} does not work{why}",
                f"pip install '{requirement}'",
            )
    yield Finding("packages", OK, ", ".join(fine))


def check_devices() -> Iterator[Finding]:
    """Ask MindSpore for Ascend cards, and look for the driver and the toolkit that they need."""
    try:
        import mindspore as ms

        has_ascend = ms.hal.is_available("Ascend")
    except Exception as error:  # an import can fail in any way, and the user must see how
        yield Finding(
            "devices",
            PROBLEM,
            f"MindSpore cannot be imported: {type(error).__name__}: {error}",
            "install the packages named above in the right version, or reinstall MindSpore",
        )
        return
    cards = sorted(Path("/dev").glob("davinci[0-9]*"))
    driver, toolkit = version_in(ASCEND / "driver" / "version.info"), cann_version()
    if has_ascend:
        yield Finding("devices", OK, f"{counted(ms.hal.device_count('Ascend'), 'Ascend card')}, CPU")
    elif cards:
        yield Finding(
            "devices",
            PROBLEM,
            f"{counted(len(cards), 'Ascend card')} that MindSpore cannot use",
            f"source {ASCEND}/ascend-toolkit/set_env.sh, then look at npu-smi info",
        )
    else:
        yield Finding("devices", OK, "CPU; no Ascend card here")
    if not cards and not driver and not toolkit:
        yield Finding("cann, driver", OK, "not installed; not needed without a card")
        return
    yield from _installed("driver", driver, "install the Ascend driver and firmware, then npu-smi info")
    yield from check_cann(toolkit)


def check_kernels() -> Iterator[Finding]:
    """Build the library of kernels for CPUs, if it is not built yet, and measure a convolution of 64 channels."""
    try:
        library = load_library()
    except CannotBuildError as error:
        yield Finding(
            "kernels",
            WARNING,
            f"MindSpore's own, which are several times slower: {error}",
            "install a C compiler, or pip install ziglang",
        )
        return
    library.set_threads(1)
    speed, peak = library.speed_of_convolution() / 1e9, library.peak() / 1e9
    yield Finding(
        "kernels",
        OK,
        f"{library.instructions}, {str(library.file)!r}; one core: {speed:.0f} direct GFLOP/s in a 3x3 convolution "
        f"from 64 to 64 channels, {peak:.0f} GFLOP/s in the innermost loop",
    )


def _installed(name: str, version: str, todo: str) -> Iterator[Finding]:
    yield Finding(name, OK, version) if version else Finding(name, PROBLEM, "not found", todo)


def check_cann(toolkit: str) -> Iterator[Finding]:
    """Compare the version of CANN, and of its Python packages, with the versions that this MindSpore supports."""
    from mindspore.run_check._check_version import AscendEnvChecker  # imports MindSpore, which takes seconds

    supported = AscendEnvChecker(None).version
    versions = listing(supported)
    if not toolkit:
        todo = f"install the CANN toolkit ({versions}), then source {ASCEND}/ascend-toolkit/set_env.sh"
        yield Finding("cann", PROBLEM, "not found", todo)
    elif _release(toolkit) in supported:
        yield Finding("cann", OK, f"{toolkit}; MindSpore {metadata.version('mindspore')} supports {versions}")
    else:
        says = f"{toolkit}, but MindSpore {metadata.version('mindspore')} supports {versions}"
        yield Finding(
            "cann", PROBLEM, says, "install one of these CANN releases, or the MindSpore for this CANN"
        )
    for name in ("te", "hccl"):
        yield _check_wheel(name, supported)


def _check_wheel(name: str, supported: Sequence[str]) -> Finding:
    """Check a wheel that is part of CANN and that MindSpore imports."""
    todo = f"pip install {ASCEND}/ascend-toolkit/latest/lib64/{name}-*-py3-none-any.whl (it is part of CANN)"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, PROBLEM, f"the wheel {name!r} of CANN is not installed in this Python", todo)
    if _release(version) in supported:
        return Finding(name, OK, version)
    says = f"the wheel {name!r} has version {version}, which does not belong to CANN {listing(supported)}"
    return Finding(name, WARNING, says, todo)


def _release(version: str) -> str:
    """Return the first two numbers of a version, such as 8.3 of 8.3.RC1."""
    return ".".join(version.split(".")[:2])


def cann_version() -> str:
    """Return the version of the CANN toolkit that the environment variables point to, or an empty string."""
    home = Path(
        os.environ.get("ASCEND_HOME_PATH") or os.environ.get("ASCEND_TOOLKIT_HOME") or ASCEND / "latest"
    )
    places = (
        home / "version.cfg",
        home / "compiler" / "version.info",
        *home.glob("*/ascend_toolkit_install.info"),
    )
    return next((version for place in places if (version := version_in(place))), "")


def version_in(file: Path) -> str:
    """Return the version that a file states, or an empty string if there is no file."""
    if not file.is_file():
        return ""
    text = file.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"(?im)^\W*(?:version|\w*version\w*)\s*=\s*\[?([\w.:-]+)", text)
    return found[1] if found else f"unknown, {file} has no version"


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_devices,
    check_kernels,
    machine.check_cores,
    machine.check_ports,
    machine.check_processes,
    machine.check_shared_memory,
    machine.check_rank_table,
    machine.check_disk,
)
