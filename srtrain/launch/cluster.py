"""Start the processes of a run on this machine.

MindSpore's ``msrun`` does not report which rank failed, leaves its workers running when it is terminated, and loads
MindSpore only to start them. This module sets the same environment variables, which MindSpore documents as "dynamic
cluster startup"; ``supervise.py`` watches the processes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from srtrain.device.progress import FILE_VARIABLE, LOCAL_VARIABLE, Progress
from srtrain.errors import DeviceError
from srtrain.files import python_program, unfinished

LAUNCHER_VARIABLE = "SRTRAIN_LAUNCHER"
"""Environment variable: the process id of the launcher."""
DEFAULT_PORT = 8118  # msrun's default; several machines must use the same port and cannot ask each other


@dataclass(frozen=True)
class Plan:
    """Which processes are started on which machine.

    Attributes:
        n_processes: number of processes on each machine.
        n_nodes: number of machines.
        node_rank: number of this machine; the scheduler runs on machine 0.
        host: address of machine 0.
        port: port of the scheduler on machine 0.
        log_dir: folder for ``worker_<rank>.log`` and ``scheduler.log``.
        join_seconds: time that the processes have to find each other.
        rank_table: file for HCCL; empty if there is none.
        devices: numbers of the cards that the rank table lists for this machine; empty for 0, 1, 2, …
    """

    n_processes: int
    log_dir: Path
    n_nodes: int = 1
    node_rank: int = 0
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    join_seconds: int = 600
    rank_table: str = ""
    devices: str = ""

    @property
    def world_size(self) -> int:
        """Processes on all machines."""
        return self.n_processes * self.n_nodes

    @property
    def ranks(self) -> range:
        """Ranks of the processes on this machine."""
        first = self.node_rank * self.n_processes
        return range(first, first + self.n_processes)


@dataclass(frozen=True)
class Job:
    """The running processes on this machine.

    Attributes:
        workers: processes by rank.
        scheduler: connects the workers of all machines; ``None`` if it runs elsewhere or is not needed.
        progress: one row for each worker, in the order of their ranks.
    """

    plan: Plan
    workers: dict[int, subprocess.Popen[bytes]]
    scheduler: subprocess.Popen[bytes] | None
    progress: Progress

    def log(self, rank: int) -> Path:
        """Return the file with the output of a worker."""
        return self.plan.log_dir / f"worker_{rank}.log"


@contextlib.contextmanager
def started(plan: Plan, words: Sequence[str]) -> Iterator[Job]:
    """Start ``srtrain`` with ``words`` as every rank of this machine; kill the ranks that still run at the end."""
    plan.log_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix="srtrain-progress-") as file, unfinished(Path(file.name)):
        job = _start(plan, words, Path(file.name))
        try:
            yield job
        finally:
            for process in (*job.workers.values(), job.scheduler):
                if process is not None and process.poll() is None:
                    process.kill()
                    process.wait()


def _start(plan: Plan, words: Sequence[str], progress: Path) -> Job:
    program = [*python_program("srtrain.cli.worker"), *words]
    common = environment(plan) | {FILE_VARIABLE: str(progress)}

    def start(log: str, **role: object) -> subprocess.Popen[bytes]:
        with (plan.log_dir / log).open("wb") as output:
            return subprocess.Popen(
                program,
                env=common | {name: str(value) for name, value in role.items()},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C reaches the launcher alone, which passes it on
            )

    scheduler = None
    if plan.node_rank == 0 and plan.world_size > 1:
        scheduler = start("scheduler.log", MS_ROLE="MS_SCHED", RANK_ID=0)
    workers = {
        rank: start(f"worker_{rank}.log", MS_ROLE="MS_WORKER", MS_NODE_ID=rank, RANK_ID=rank, DEVICE_ID=row)
        for row, rank in enumerate(plan.ranks)
    }
    return Job(plan, workers, scheduler, Progress(progress, plan.n_processes))


def environment(plan: Plan) -> dict[str, str]:
    """Return the environment variables that all processes of a plan share."""
    defaults = {
        # A CPU collective fails after 30 s, but saving or compiling may take longer. hooks.watchdog sets the limit.
        "MS_CPU_COMM_OP_TIMEOUT": str(10**6),
        # Seconds between attempts to reach the scheduler, which starts together with the workers (default: 3 to 5).
        "MS_RETRY_INTERVAL_LOWER": "1",
        "MS_RETRY_INTERVAL_UPPER": "1",
    }
    given = {
        "MS_WORKER_NUM": str(plan.world_size),
        "MS_SCHED_HOST": plan.host,
        "MS_SCHED_PORT": str(plan.port),
        "MS_TOPO_TIMEOUT": str(plan.join_seconds),
        "RANK_SIZE": str(plan.world_size),
        LAUNCHER_VARIABLE: str(os.getpid()),
        LOCAL_VARIABLE: str(plan.n_processes),
    }
    if plan.rank_table:
        given["RANK_TABLE_FILE"] = plan.rank_table
    if plan.devices:  # DEVICE_ID counts the processes of a machine from 0
        given["ASCEND_RT_VISIBLE_DEVICES"] = plan.devices
    return defaults | dict(os.environ) | given


def free_port() -> int:
    """Return a port of this machine on which no process listens at present."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def resolve(host: str) -> str:
    """Return the address of a machine.

    Raises:
        DeviceError: the name is unknown.
    """
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise DeviceError(
            f"--master {host!r}: this machine does not know that name ({error.strerror or error}). Give its "
            "IP address."
        ) from error
