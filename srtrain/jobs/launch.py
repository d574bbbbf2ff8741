"""Run a command as many processes, and write rank tables."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from srtrain.errors import DeviceError, UserError, counted
from srtrain.launch import rank_table
from srtrain.launch.cluster import DEFAULT_PORT, Plan, free_port, resolve, started
from srtrain.launch.rank_table import RankTable
from srtrain.launch.supervise import Supervisor
from srtrain.trainer.run_folder import forget_refused


@dataclass(frozen=True)
class Asked:
    """The options that say how many processes run on which machines; ``None`` where they are not given."""

    n_processes: int | None
    n_nodes: int | None
    node_rank: int | None
    master: str | None


def run(args: argparse.Namespace) -> int:
    """Start the processes and watch them; return the exit code of the first that failed."""
    name = args.rank_table or os.environ.get("RANK_TABLE_FILE", "")
    table = rank_table.read(Path(name)) if name else None
    asked = Asked(args.n_processes, args.n_nodes, args.node_rank, args.master)
    plan = make_plan(asked, table, args.log_dir, args.join_seconds)
    ranks = f"rank {plan.ranks.start}"
    if plan.n_processes > 1:
        ranks = f"ranks {plan.ranks.start} to {plan.ranks.stop - 1}"
    n_processes = counted(plan.world_size, "process", "processes")
    say(f"{n_processes}, {ranks} on this machine; their output is in {plan.log_dir}")
    with started(plan, args.words) as job, Supervisor(job, say) as supervisor:
        code = supervisor.wait()
    if code == UserError.exit_code and args.run_dir is not None:
        forget_refused(args.run_dir, plan.log_dir if args.own_log_dir else None)
    return code


def say(text: str) -> None:
    """Print a message of the launcher, which appears among the output of rank 0."""
    print(f"launch: {text}" if not text.startswith("error") else text, file=sys.stderr, flush=True)


def make_plan(asked: Asked, table: RankTable | None, log_dir: Path, join_seconds: int) -> Plan:
    """Return which processes are started on which machine.

    Args:
        asked: the options.
        table: the rank table, if there is one.
        log_dir: folder for the output of the processes.
        join_seconds: time that the processes have to find each other.

    Raises:
        DeviceError: options that are missing, out of range, or contradict the rank table.
    """
    devices = ""
    if table is not None:
        server = table.servers[table.index_of_this_machine(asked.node_rank)]
        devices = ",".join(str(device.device_id) for device in server.devices)
        asked = _from_table(asked, table)
    n_processes, n_nodes = asked.n_processes, 1 if asked.n_nodes is None else asked.n_nodes
    if n_processes is None:
        raise DeviceError(
            "the number of processes is missing. Give -n N (one process per device), or a rank table."
        )
    if n_processes < 1 or n_nodes < 1:
        raise DeviceError(f"-n {n_processes} and --nodes {n_nodes} must be 1 or more.")
    if n_nodes == 1:
        host, port = "127.0.0.1", free_port()
    else:
        if asked.master is None or asked.node_rank is None:
            raise DeviceError(
                f"--nodes {n_nodes} needs --node-rank K (0 to {n_nodes - 1}) and --master HOST[:PORT]."
            )
        host, port = parse_master(asked.master)
    node_rank = asked.node_rank or 0
    if not 0 <= node_rank < n_nodes:
        raise DeviceError(
            f"--node-rank {node_rank} does not exist: the number of machines is {n_nodes}, and they count from 0."
        )
    return Plan(
        n_processes=n_processes,
        log_dir=log_dir,
        n_nodes=n_nodes,
        node_rank=node_rank,
        host=resolve(host),
        port=port,
        join_seconds=join_seconds,
        rank_table=str(table.file.absolute()) if table else "",
        devices=devices,
    )


def _from_table(asked: Asked, table: RankTable) -> Asked:
    """Return the options with what the rank table says in place of those that were not given."""
    index = table.index_of_this_machine(asked.node_rank)
    n_devices = len(table.servers[index].devices)
    for option, given, said in (
        ("-n", asked.n_processes, n_devices),
        ("--nodes", asked.n_nodes, len(table.servers)),
    ):
        if given not in (None, said):
            raise DeviceError(f"{option} {given} contradicts the rank table {table.file}, which has {said}.")
    return replace(
        asked,
        n_processes=n_devices,
        n_nodes=len(table.servers),
        node_rank=index,
        master=asked.master or table.servers[0].server_id,
    )


def parse_master(text: str) -> tuple[str, int]:
    """Split ``HOST[:PORT]``.

    Raises:
        DeviceError: the port is not a number from 1024 to 65535, which MindSpore requires.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, DEFAULT_PORT
    if not port.isdecimal() or not 1024 <= int(port) <= 65535:
        raise DeviceError(f"--master {text!r}: the port must be a number from 1024 to 65535.")
    return host, int(port)


def write_rank_table(args: argparse.Namespace) -> int:
    """Write HCCL's rank table from a list of servers; return the exit code."""
    table = rank_table.make(args.servers, args.device_ips)
    if args.to:
        rank_table.write(table, Path(args.to))
        n_devices = sum(len(server.devices) for server in table.servers)
        print(f"{args.to}: {counted(len(table.servers), 'server')}, {counted(n_devices, 'device')}")
    else:
        print(rank_table.to_json(table))
    return 0
