"""``srtrain launch -n 8 RECIPE``: run any command of srtrain as many processes, on one machine or several."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from srtrain.cli.main import BUILT_IN, read
from srtrain.errors import RecipeError, did_you_mean, listing

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
RUN = "srtrain.jobs.launch:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how many processes, on which machines, and the command they run."""
    parser.add_argument(
        "-n",
        type=int,
        metavar="N",
        dest="n_processes",
        help="number of processes on this machine, one per device",
    )
    parser.add_argument(
        "--nodes", type=int, metavar="N", dest="n_nodes", help="number of machines (default: 1)"
    )
    parser.add_argument("--node-rank", type=int, metavar="K", help="number of this machine, from 0")
    parser.add_argument(
        "--master", metavar="HOST[:PORT]", help="address of machine 0 (the default port is 8118)"
    )
    parser.add_argument(
        "--rank-table", metavar="FILE", help="HCCL's list of servers and devices (default: $RANK_TABLE_FILE)"
    )
    parser.add_argument(
        "--log-dir",
        metavar="FOLDER",
        help="folder for the output of the processes (default: launch/ in the run folder)",
    )
    parser.add_argument(
        "--join-seconds",
        type=int,
        default=600,
        metavar="S",
        help="seconds that the processes have to find each other (default: 600)",
    )
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="COMMAND …",
        help="a command of srtrain with its arguments, a recipe or run folder (which means run), or rank-table",
    )


def check(args: argparse.Namespace) -> None:
    """Check the command of the processes, so that its mistakes are reported once and not by each process.

    ``args.words`` becomes the command line of each process, and ``args.log_dir`` the folder for their output.
    """
    if args.words[:1] == ["rank-table"]:
        args.run = "srtrain.jobs.launch:write_rank_table"
        _rank_table_parser().parse_args(args.words[1:], args)
        return
    args.words = command_of(args.words, args.plugin)
    args.plugin = []  # the processes activate the plugins
    args.run_dir = run_dir_of(args.words)
    args.own_log_dir = not args.log_dir
    args.log_dir = Path(args.log_dir) if args.log_dir else log_dir_of(args.words, args.run_dir)


def command_of(words: Sequence[str], plugins: Sequence[str] = ()) -> list[str]:
    """Return the command line of each process, with ``run`` added before a recipe, and the plugins after the command.

    Raises:
        RecipeError: there is no command, or no such command.
    """
    known = [name for name in BUILT_IN if name != "launch"]
    if not words:
        raise RecipeError(
            f"launch has no command to run. Give a recipe, a run folder, or a command: {listing(known)}."
        )
    first = words[0]
    if first not in known and (first.endswith(".py") or Path(first).is_dir()):
        words, first = ["run", *words], "run"
    if first in known or (plugins and first.isidentifier()):  # a plugin may supply commands
        return [first, *(word for name in plugins for word in ("--plugin", name)), *words[1:]]
    raise RecipeError(
        f"{first!r} is not a recipe (a file that ends in .py), a run folder or a command."
        f"{did_you_mean(first, known)} Commands: {listing(known)}."
    )


def run_dir_of(words: Sequence[str]) -> Path | None:
    """Return the run folder of the command ``run``; other commands have none.

    Raises:
        UserError: there is a mistake in the command line of a built-in command.
    """
    args = read(words) if words[0] in BUILT_IN else None
    return Path(args.resolved.folder) if args is not None and words[0] == "run" else None


def log_dir_of(words: Sequence[str], run_dir: Path | None) -> Path:
    """Return a new folder for the output of the processes: in the run folder if there is one."""
    folder = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    return (
        run_dir / "launch" / folder
        if run_dir is not None
        else Path("runs") / "launch" / f"{folder}-{words[0]}"
    )


def _rank_table_parser() -> argparse.ArgumentParser:
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
        "(default: read from /etc/hccn.conf, which lists the cards of this machine only)",
    )
    parser.add_argument("--to", metavar="FILE", help="file to write (default: print the table)")
    return parser
