"""Starts the processes of a run on this machine through MindSpore's own ``msrun``.

``msrun`` as a command does not say which rank failed and leaves its workers behind when it is terminated;
its process manager starts the same processes and leaves the watching to us (``supervise.py``).
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from srtrain.device.progress import FILE_VARIABLE, LOCAL_VARIABLE, Progress
from srtrain.errors import DeviceError

LAUNCHER_VARIABLE = "SRTRAIN_LAUNCHER"
"""Environment variable: the process id of the launcher."""
DEFAULT_PORT = 8118  # msrun's own; several machines must agree on one without asking each other


@dataclass(frozen=True)
class Plan:
    """What is started where.

    Attributes:
        n_processes: on each machine.
        n_nodes: machines.
        node_rank: which of them this is; the scheduler runs on number 0.
        host: address of machine 0.
        port: of the scheduler there.
        log_dir: gets ``worker_<rank>.log`` and ``scheduler.log``.
        join_seconds: time for all processes to find each other.
        rank_table: handed to HCCL; empty where there is none.
        devices: the cards of this machine that the table names, by their numbers; empty for 0, 1, 2, …
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
    """The live processes on this machine.

    Attributes:
        workers: by rank.
        scheduler: joins the workers of all machines; ``None`` where it runs elsewhere or is not needed.
        progress: one row a worker, in the order of their ranks.
    """

    plan: Plan
    workers: dict[int, subprocess.Popen[bytes]]
    scheduler: subprocess.Popen[bytes] | None
    progress: Progress

    def log(self, rank: int) -> Path:
        """Return what a worker prints into."""
        return self.plan.log_dir / f"worker_{rank}.log"


@contextlib.contextmanager
def started(plan: Plan, words: Sequence[str]) -> Iterator[Job]:
    """Start ``srtrain`` with ``words`` as every rank of this machine; whatever is left is killed at the end."""
    plan.log_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix="srtrain-progress-") as file:
        progress = Progress(Path(file.name), plan.n_processes)
        os.environ |= {
            FILE_VARIABLE: file.name,
            LAUNCHER_VARIABLE: str(os.getpid()),
            LOCAL_VARIABLE: str(plan.n_processes),
            # msrun starts "python3": let that be this one.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        # A CPU collective fails after 30 s, which a rank that writes or compiles may take: hooks.watchdog decides.
        os.environ.setdefault("MS_CPU_COMM_OP_TIMEOUT", str(10**6))
        # Seconds between attempts to reach the scheduler, which starts together with the workers; 3 to 5 by default.
        os.environ.setdefault("MS_RETRY_INTERVAL_LOWER", "1")
        os.environ.setdefault("MS_RETRY_INTERVAL_UPPER", "1")
        if plan.devices:  # msrun counts a machine's cards from 0
            os.environ["ASCEND_RT_VISIBLE_DEVICES"] = plan.devices
        job = _start(plan, words, progress)
        try:
            yield job
        finally:
            for process in (*job.workers.values(), job.scheduler):
                if process is not None and process.poll() is None:
                    process.kill()
                    process.wait()


def _start(plan: Plan, words: Sequence[str], progress: Progress) -> Job:
    from mindspore.parallel.cluster import run as msrun  # seconds; not needed to find a typing mistake
    from mindspore.parallel.cluster.process_entity import _ProcessManager

    command = [
        "msrun",
        f"--worker_num={plan.world_size}",
        f"--local_worker_num={plan.n_processes}",
        f"--master_addr={plan.host}",
        f"--master_port={plan.port}",
        f"--node_rank={plan.node_rank}",
        f"--log_dir={plan.log_dir}",
        f"--cluster_time_out={plan.join_seconds}",
        f"--rank_table_file={plan.rank_table}",
        *("python3", "-m", "srtrain.cli.worker", *words),
    ]
    own, sys.argv = sys.argv, command  # which is where msrun's parser looks
    try:
        manager = _ProcessManager(msrun.get_args())
    finally:
        sys.argv = own
    # msrun takes a machine for the first by its address, which two on one loopback share.
    manager.is_master = plan.node_rank == 0 and plan.world_size > 1
    with contextlib.redirect_stdout(io.StringIO()):  # it prints every command line
        manager.run()
    return Job(plan, dict(zip(plan.ranks, manager.cgn_processes, strict=True)), manager.msn_process, progress)


def free_port() -> int:
    """Return a port of this machine that nobody listens on at present."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def resolve(host: str) -> str:
    """Return the address of a machine.

    Raises:
        DeviceError: nobody knows the name.
    """
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise DeviceError(
            f"--master {host!r}: no machine of that name is known here ({error.strerror or error}). Give its "
            "IP address."
        ) from error
