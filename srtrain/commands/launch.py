"""``srtrain launch -n 8 RECIPE``: any command of srtrain as many processes, on one machine or several."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from srtrain.errors import DeviceError, RecipeError, did_you_mean, listing
from srtrain.launch import rank_table
from srtrain.launch.cluster import DEFAULT_PORT, Plan, free_port, resolve, started
from srtrain.launch.rank_table import RankTable

HELP = "run a command as many processes"
EXAMPLES = """\
examples:
  srtrain launch -n 8 recipes/edsr_x2.py data.root=DIV2K
  srtrain launch -n 8 run runs/edsr_x2 --resume
  srtrain launch -n 8 --nodes 2 --node-rank 0 --master 10.0.0.1 recipes/edsr_x2.py      on the first machine
  srtrain launch -n 8 --nodes 2 --node-rank 1 --master 10.0.0.1 recipes/edsr_x2.py      on the second
  srtrain launch --rank-table hccl.json recipes/edsr_x2.py --device ascend
  srtrain launch rank-table --servers 10.0.0.1:0-7 10.0.0.2:0-7 --to hccl.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how many processes, on which machines, and the command they run."""
    parser.add_argument(
        "-n", type=int, metavar="N", dest="n_processes", help="processes on this machine, one a device"
    )
    parser.add_argument("--nodes", type=int, metavar="N", dest="n_nodes", help="machines (default: 1)")
    parser.add_argument("--node-rank", type=int, metavar="K", help="which of them this is, from 0")
    parser.add_argument("--master", metavar="HOST[:PORT]", help="machine 0; the port is 8118 unless given")
    parser.add_argument(
        "--rank-table", metavar="FILE", help="HCCL's list of servers and devices (default: $RANK_TABLE_FILE)"
    )
    parser.add_argument(
        "--log-dir", metavar="FOLDER", help="what the processes print (default: launch/ in the run folder)"
    )
    parser.add_argument(
        "--join-seconds",
        type=int,
        default=600,
        metavar="S",
        help="time for all processes to find each other (default: 600)",
    )
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="NAME", help="handed to the command; repeatable"
    )
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="COMMAND …",
        help="a command of srtrain with its arguments, or a recipe or run folder, which means run; or rank-table",
    )


def run(args: argparse.Namespace) -> int:
    """Start the processes, watch them, return the exit code of the first that failed."""
    if args.words[:1] == ["rank-table"]:
        return write_rank_table(args.words[1:])
    words = command_of(args.words, args.plugin)
    name = args.rank_table or os.environ.get("RANK_TABLE_FILE", "")
    table = rank_table.read(Path(name)) if name else None
    plan = make_plan(args, table, Path(args.log_dir) if args.log_dir else log_dir_of(words))

    from srtrain.launch.supervise import Supervisor

    say(
        f"{plan.world_size} process(es), here rank(s) {plan.ranks.start} to {plan.ranks.stop - 1}; each prints into "
        f"{plan.log_dir}"
    )
    with started(plan, words) as job, Supervisor(job, say) as supervisor:
        return supervisor.wait()


def say(text: str) -> None:
    """Speak as the launcher, beside what rank 0 prints."""
    print(f"launch: {text}" if not text.startswith("error") else text, file=sys.stderr, flush=True)


def command_of(words: Sequence[str], plugins: Sequence[str] = ()) -> list[str]:
    """Return the command line of each process, ``run`` written out and the plugins behind the command.

    Raises:
        RecipeError: there is none, or no such command.
    """
    from srtrain.cli.main import BUILT_IN

    known = [name for name in BUILT_IN if name != "launch"]
    if not words:
        raise RecipeError(f"launch what? Give a recipe, a run folder, or a command: {listing(known)}.")
    first = words[0]
    if first not in known and (first.endswith(".py") or Path(first).is_dir()):
        words, first = ["run", *words], "run"
    if first in known or (plugins and first.isidentifier()):  # a plugin may bring commands
        return [first, *(word for name in plugins for word in ("--plugin", name)), *words[1:]]
    raise RecipeError(
        f"{first!r} is no recipe (a file that ends in .py), no run folder and no command."
        f"{did_you_mean(first, known)} Commands: {listing(known)}."
    )


def log_dir_of(words: Sequence[str]) -> Path:
    """Return a new folder for what the processes print: in the run folder where there is one.

    Raises:
        UserError: the recipe or its overrides are wrong, which is better said once than by each process.
    """
    folder = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    if words[0] != "run":
        return Path("runs") / "launch" / f"{folder}-{words[0]}"
    from srtrain.cli.main import resume_is_auto
    from srtrain.commands import run as run_command

    parser = argparse.ArgumentParser(prog="srtrain run")
    run_command.add_arguments(parser)
    args, rest = parser.parse_known_args(resume_is_auto(words[1:]))
    args.overrides = [*args.overrides, *(word for word in rest if "=" in word)]
    _, recipe = run_command.recipe_asked_for(args)
    return Path(recipe.run_dir or Path("runs") / recipe.name) / "launch" / folder


def make_plan(args: argparse.Namespace, table: RankTable | None, log_dir: Path) -> Plan:
    """Return what is started where, from the options and the rank table.

    Raises:
        DeviceError: options that are missing, out of range, or contradict the rank table.
    """
    n_processes, n_nodes, node_rank, master = args.n_processes, args.n_nodes, args.node_rank, args.master
    devices = ""
    if table is not None:
        server = table.servers[table.index_of_this_machine(node_rank)]
        for option, given, said in (
            ("-n", n_processes, len(server.devices)),
            ("--nodes", n_nodes, len(table.servers)),
        ):
            if given not in (None, said):
                raise DeviceError(
                    f"{option} {given} contradicts the rank table {table.file}, which has {said}."
                )
        n_processes, n_nodes = len(server.devices), len(table.servers)
        node_rank = table.servers.index(server)
        master = master or table.servers[0].server_id
        devices = ",".join(str(device.device_id) for device in server.devices)
    n_nodes = 1 if n_nodes is None else n_nodes
    if n_processes is None:
        raise DeviceError("how many processes? Give -n N (one a device), or a rank table.")
    if n_processes < 1 or n_nodes < 1:
        raise DeviceError(f"-n {n_processes} and --nodes {n_nodes} must be 1 or more.")
    if n_nodes == 1:
        host, port = "127.0.0.1", free_port()
    else:
        if master is None or node_rank is None:
            raise DeviceError(
                f"--nodes {n_nodes} needs --node-rank K (0 to {n_nodes - 1}) and --master HOST[:PORT]."
            )
        host, port = parse_master(master)
    if not 0 <= (node_rank or 0) < n_nodes:
        raise DeviceError(
            f"--node-rank {node_rank} is not among the {n_nodes} machine(s) 0 to {n_nodes - 1}."
        )
    return Plan(
        n_processes=n_processes,
        log_dir=log_dir,
        n_nodes=n_nodes,
        node_rank=node_rank or 0,
        host=resolve(host),
        port=port,
        join_seconds=args.join_seconds,
        rank_table=str(table.file.absolute()) if table else "",
        devices=devices,
    )


def parse_master(text: str) -> tuple[str, int]:
    """Split ``HOST[:PORT]``.

    Raises:
        DeviceError: the port is no number from 1024 to 65535, which is what MindSpore takes.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, DEFAULT_PORT
    if not port.isdecimal() or not 1024 <= int(port) <= 65535:
        raise DeviceError(f"--master {text!r}: the port must be a number from 1024 to 65535.")
    return host, int(port)


def write_rank_table(words: Sequence[str]) -> int:
    """Write HCCL's rank table from a list of servers; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="srtrain launch rank-table", description="Write HCCL's list of servers and devices."
    )
    parser.add_argument(
        "--servers",
        nargs="+",
        required=True,
        metavar="IP:DEVICES",
        help="each machine with its devices, such as 10.0.0.1:0-7 or 10.0.0.1:0,2,4",
    )
    parser.add_argument(
        "--device-ips",
        nargs="+",
        metavar="IP",
        help="addresses of the cards' own network ports in the order of the devices, as hccn_tool shows them "
        "(default: read from /etc/hccn.conf, which serves this machine alone)",
    )
    parser.add_argument("--to", metavar="FILE", help="(default: print)")
    args = parser.parse_args(words)
    table = rank_table.make(args.servers, args.device_ips)
    if args.to:
        rank_table.write(table, Path(args.to))
        n = sum(len(server.devices) for server in table.servers)
        print(f"{args.to}: {len(table.servers)} server(s), {n} devices")
    else:
        print(rank_table.to_json(table))
    return 0
