"""What ``srtrain doctor`` checks of the machine: cores, memory, ports, processes, the rank table, disk."""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from srtrain.device.cores import usable_cores
from srtrain.errors import UserError, counted, listing
from srtrain.launch import rank_table
from srtrain.launch.cluster import DEFAULT_PORT, LAUNCHER_VARIABLE, free_port

OK, WARNING, PROBLEM = "ok", "warning", "problem"
GB = 2**30


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of one check; ``todo`` says how to solve a warning or a problem."""

    name: str
    level: str
    says: str
    todo: str = ""


def check_cores() -> Iterator[Finding]:
    """Count the cores and the memory that a run may use."""
    total = psutil.cpu_count()
    memory = psutil.virtual_memory()
    free = f"{memory.available / GB:.1f} of {memory.total / GB:.1f} GB memory free"
    says = f"{usable_cores()} of {total} cores usable; {free}"
    if memory.available < GB:
        yield Finding("cpu, memory", WARNING, says, "a MindSpore process needs 0.5 GB even without a network")
    else:
        yield Finding("cpu, memory", OK, says)


def check_ports() -> Iterator[Finding]:
    """Check that a port can be opened, which processes need to find each other."""
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
            "on several machines, use another port: --master HOST:PORT (on one machine, srtrain finds a free one)",
        )
    else:
        yield Finding(
            "ports", OK, f"ports can be opened; {DEFAULT_PORT}, the default for several machines, is free"
        )


def check_processes() -> Iterator[Finding]:
    """Look for processes of an earlier launch that still run without their launcher."""
    left, live = launched_processes()
    if left:
        pids = " ".join(map(str, left))
        yield Finding(
            "processes",
            PROBLEM,
            f"left over from a launcher that has ended: {pids}",
            f"end them, because they hold memory and devices: kill {pids}",
        )
    else:
        running = f"{live} of a running launch" if live else "none"
        yield Finding("processes", OK, f"left over from earlier launches: none; now: {running}")


def launched_processes() -> tuple[list[int], int]:
    """Return the process ids whose launcher has ended, and the number of those whose launcher runs."""
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
            continue  # it belongs to another user, or has just ended
    return left, n_live


def check_shared_memory() -> Iterator[Finding]:
    """Check the size of ``/dev/shm``, which is 64 MB in a container by default."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        yield Finding("shared memory", PROBLEM, "there is no /dev/shm", "mount a tmpfs there")
        return
    usage = shutil.disk_usage(folder)
    says = f"/dev/shm has {usage.free / GB:.2f} of {usage.total / GB:.2f} GB free"
    if usage.free < GB:
        yield Finding(
            "shared memory", WARNING, says, "MindSpore and HCCL exchange data there: docker run --shm-size=8g"
        )
    else:
        yield Finding("shared memory", OK, says)


def check_rank_table() -> Iterator[Finding]:
    """Read the rank table that ``RANK_TABLE_FILE`` names."""
    name = os.environ.get("RANK_TABLE_FILE")
    if not name:
        yield Finding("rank table", OK, "RANK_TABLE_FILE is not set; no rank table is needed")
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
        f"{name}: {counted(len(table.servers), 'server')}; this is number {index} with "
        f"{counted(len(server.devices), 'device')}: {listing(str(device.device_id) for device in server.devices)}",
    )


def check_disk() -> Iterator[Finding]:
    """Check the free space for checkpoints, of which one of the paper's EDSR takes 0.5 GB."""
    usage = shutil.disk_usage(".")
    says = f"{usage.free / GB:.1f} of {usage.total / GB:.1f} GB free in this folder"
    if usage.free < GB:
        yield Finding("disk", PROBLEM, says, "free some space, or set run_dir= to another disk")
    elif usage.free < 5 * GB:
        yield Finding(
            "disk",
            WARNING,
            says,
            "a checkpoint of the paper's EDSR takes 0.5 GB; hooks.checkpoint.keep= limits their number",
        )
    else:
        yield Finding("disk", OK, says)
