"""``srtrain doctor``: what of this machine a run depends on, and what to do where it is not well."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from srtrain.device.cores import usable_cores
from srtrain.errors import UserError, listing
from srtrain.launch import rank_table
from srtrain.launch.cluster import DEFAULT_PORT, LAUNCHER_VARIABLE, free_port

HELP = "check this machine: versions, devices, ports, left processes, memory, disk"
EXAMPLES = """\
examples:
  srtrain doctor
  srtrain doctor --json | jq '.findings[] | select(.level != "ok")'
"""

OK, WARNING, PROBLEM = "ok", "warning", "problem"
PYTHONS = ((3, 10), (3, 11), (3, 12))
ASCEND = Path("/usr/local/Ascend")
GB = 2**30


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``todo`` says how to mend what is not ok."""

    name: str
    level: str
    says: str
    todo: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how to print."""
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Print every finding; return 1 when one is a problem."""
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
    print(f"{n_problems} problem(s), {n_warnings} warning(s)")
    return int(n_problems > 0)


def check_python() -> Iterator[Finding]:
    """MindSpore has wheels for three Pythons."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] in PYTHONS:
        yield Finding("python", OK, f"{version}, {sys.executable}")
    else:
        yield Finding(
            "python", PROBLEM, version, "MindSpore has wheels for 3.10, 3.11 and 3.12: use one of these"
        )


def check_packages() -> Iterator[Finding]:
    """Compare what is installed with what this package was built to work with."""
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
    """Ask MindSpore for cards, and the system for what they need."""
    try:
        import mindspore as ms

        has_ascend = ms.hal.is_available("Ascend")
    except Exception as error:  # whatever the import dies of is what the user must be told
        yield Finding(
            "devices",
            PROBLEM,
            f"MindSpore cannot be imported: {type(error).__name__}: {error}",
            "mend the packages named above, or install MindSpore anew",
        )
        return
    cards = sorted(Path("/dev").glob("davinci[0-9]*"))
    driver, toolkit = version_in(ASCEND / "driver" / "version.info"), cann_version()
    if has_ascend:
        yield Finding("devices", OK, f"{ms.hal.device_count('Ascend')} Ascend card(s), CPU")
    elif cards:
        yield Finding(
            "devices",
            PROBLEM,
            f"{len(cards)} Ascend card(s) that MindSpore cannot use",
            f"source {ASCEND}/ascend-toolkit/set_env.sh, then look at npu-smi info",
        )
    else:
        yield Finding("devices", OK, "CPU; no Ascend card here")
    if not cards and not driver and not toolkit:
        yield Finding("cann, driver", OK, "none, and none is needed without a card")
        return
    yield from _installed("driver", driver, "install the Ascend driver and firmware, then npu-smi info")
    yield from _installed(
        "cann", toolkit, f"install the CANN toolkit, then source {ASCEND}/ascend-toolkit/set_env.sh"
    )


def _installed(name: str, version: str, todo: str) -> Iterator[Finding]:
    yield Finding(name, OK, version) if version else Finding(name, PROBLEM, "not found", todo)


def cann_version() -> str:
    """Return the version of the CANN toolkit that the environment names, or an empty string."""
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
    """Return what a version file says, or an empty string."""
    if not file.is_file():
        return ""
    text = file.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"(?im)^\W*(?:version|\w*version\w*)\s*=\s*\[?([\w.:-]+)", text)
    return found[1] if found else f"unknown, {file} has no version"


def check_cores() -> Iterator[Finding]:
    """Count the cores and the memory that a run may use."""
    total = psutil.cpu_count()
    usable = usable_cores()
    memory = psutil.virtual_memory()
    says = f"{usable} of {total} cores usable; {memory.available / GB:.1f} of {memory.total / GB:.1f} GB memory free"
    if memory.available < GB:
        yield Finding("cpu, memory", WARNING, says, "a process of MindSpore takes 0.5 GB before any network")
    else:
        yield Finding("cpu, memory", OK, says)


def check_ports() -> Iterator[Finding]:
    """Look whether processes could find each other."""
    try:
        port = free_port()
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        yield Finding(
            "ports", PROBLEM, f"no port can be opened: {error}", "srtrain launch needs one on this machine"
        )
        return
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", DEFAULT_PORT)) == 0
    if taken:
        yield Finding(
            "ports",
            WARNING,
            f"port {DEFAULT_PORT} is in use",
            "with several machines, give another: --master HOST:PORT (one machine finds a free one itself)",
        )
    else:
        yield Finding("ports", OK, f"free ports can be had; {DEFAULT_PORT}, for several machines, is free")


def check_processes() -> Iterator[Finding]:
    """Look for processes that an earlier launch left behind."""
    left, live = launched_processes()
    if left:
        pids = " ".join(map(str, left))
        yield Finding(
            "processes",
            PROBLEM,
            f"left by a launcher that is gone: {pids}",
            f"they hold memory and devices: kill {pids}",
        )
    else:
        running = f"{live} of a launch that is running" if live else "none"
        yield Finding("processes", OK, f"of earlier launches: none left; now: {running}")


def launched_processes() -> tuple[list[int], int]:
    """Return the process ids whose launcher is gone, and the number of those whose launcher lives."""
    left, n_live = [], 0
    for process in psutil.process_iter():
        try:
            launcher = process.environ().get(LAUNCHER_VARIABLE)
            if launcher is None or "MS_ROLE" not in process.environ():
                continue
            if process.ppid() == int(launcher):
                n_live += 1
            elif process.status() != psutil.STATUS_ZOMBIE:
                left.append(process.pid)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue  # another user's, or just ended
    return left, n_live


def check_shared_memory() -> Iterator[Finding]:
    """Look at ``/dev/shm``, which containers give 64 MB of."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        yield Finding("shared memory", PROBLEM, "there is no /dev/shm", "mount a tmpfs there")
        return
    usage = shutil.disk_usage(folder)
    says = f"/dev/shm has {usage.free / GB:.2f} of {usage.total / GB:.2f} GB free"
    if usage.free < GB:
        yield Finding(
            "shared memory", WARNING, says, "docker run --shm-size=8g; MindSpore and HCCL exchange data there"
        )
    else:
        yield Finding("shared memory", OK, says)


def check_rank_table() -> Iterator[Finding]:
    """Read the rank table where one is named."""
    name = os.environ.get("RANK_TABLE_FILE")
    if not name:
        yield Finding("rank table", OK, "RANK_TABLE_FILE is not set, and msrun needs none")
        return
    try:
        table = rank_table.read(Path(name))
        index = table.index_of_this_machine()
    except UserError as error:
        yield Finding("rank table", PROBLEM, str(error), "'srtrain launch rank-table' writes one")
        return
    server = table.servers[index]
    yield Finding(
        "rank table",
        OK,
        f"{name}: {len(table.servers)} server(s); this is number {index} with device(s) "
        f"{listing(str(device.device_id) for device in server.devices)}",
    )


def check_disk() -> Iterator[Finding]:
    """A checkpoint of the paper's network takes half a gigabyte."""
    usage = shutil.disk_usage(".")
    says = f"{usage.free / GB:.1f} of {usage.total / GB:.1f} GB free in this folder"
    if usage.free < GB:
        yield Finding("disk", PROBLEM, says, "make room, or set run_dir= elsewhere")
    elif usage.free < 5 * GB:
        yield Finding(
            "disk",
            WARNING,
            says,
            "the paper's EDSR takes 0.5 GB a checkpoint; hooks.checkpoint.keep= bounds them",
        )
    else:
        yield Finding("disk", OK, says)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_devices,
    check_cores,
    check_ports,
    check_processes,
    check_shared_memory,
    check_rank_table,
    check_disk,
)
