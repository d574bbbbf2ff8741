"""How processes are started, with a command that trains nothing, and ports and names.

tests/integration/test_distributed.py starts real ranks.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from mindspore.parallel.cluster import process_entity

from srtrain.errors import DeviceError
from srtrain.launch.cluster import Plan, environment, free_port, resolve, started

SAY = """
import json, os, signal, sys, threading
from pathlib import Path
from srtrain.cli import COMMANDS

@COMMANDS.register("say")
class Say:
    HELP = EXAMPLES = "write down the environment, and wait for a SIGTERM"

    @staticmethod
    def add_arguments(parser):
        parser.add_argument("--wait", action="store_true")

    @staticmethod
    def run(args):
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
        print(json.dumps(dict(os.environ)), flush=True)
        while args.wait and not stopped.wait(0.05):
            pass
        print("stopped by SIGTERM" if args.wait else " ".join(sys.argv))
        return 3
"""


@pytest.fixture
def say(tmp_path):
    """The words of a command that says what it was given."""
    (tmp_path / "say.py").write_text(SAY)
    return ["--plugin", str(tmp_path / "say.py"), "say"]


def test_every_process_learns_its_place_and_writes_to_its_log(say, tmp_path, monkeypatch):
    """The second of two machines, which has no scheduler."""
    monkeypatch.setenv("MS_RETRY_INTERVAL_LOWER", "7")
    plan = Plan(2, tmp_path / "logs", 2, 1, "127.0.0.1", 9999, 60, rank_table="t.json", devices="4,5")
    with started(plan, say) as job:
        assert job.scheduler is None
        assert [process.wait() for process in job.workers.values()] == [3, 3]
    own = []
    for rank in (2, 3):
        said, command = job.log(rank).read_text().splitlines()
        assert command.split() == ["srtrain", "launch", "-n", "4", *say]
        own.append(json.loads(said))
        assert [own[-1][name] for name in ("RANK_ID", "MS_NODE_ID", "MS_ROLE")] == [
            *2 * [str(rank)],
            "MS_WORKER",
        ]
    assert [environment["DEVICE_ID"] for environment in own] == ["0", "1"]
    common = {
        "MS_WORKER_NUM": "4", "RANK_SIZE": "4", "MS_SCHED_HOST": "127.0.0.1", "MS_SCHED_PORT": "9999",
        "MS_TOPO_TIMEOUT": "60", "RANK_TABLE_FILE": "t.json", "ASCEND_RT_VISIBLE_DEVICES": "4,5",
        "MS_RETRY_INTERVAL_LOWER": "7", "MS_RETRY_INTERVAL_UPPER": "1",
    }  # fmt: skip
    assert own[0].items() >= common.items() <= own[1].items()
    assert "MS_ROLE" not in os.environ


def test_the_variables_are_those_that_msrun_sets(tmp_path):
    """MindSpore documents them as "dynamic cluster startup"; only msrun's own switches are not among ours."""
    source = Path(process_entity.__file__).with_name("_api.py").read_text()
    theirs = set(re.findall(r"""os\.environ\[['"](\w+)['"]\] = """, source))
    common = environment(Plan(2, tmp_path, rank_table="table.json"))
    ours = {*common, "MS_ROLE", "MS_NODE_ID", "RANK_ID", "DEVICE_ID"}
    assert {"MS_ROLE", "MS_WORKER_NUM", "MS_SCHED_HOST", "MS_SCHED_PORT", "MS_NODE_ID", "DEVICE_ID"} <= theirs
    assert theirs - ours <= {"MS_ENABLE_RECOVERY", "MS_SIMULATION_LEVEL"}


def test_ranks_stop_when_their_launcher_is_killed(say, tmp_path):
    code = """if True:
        import sys
        from pathlib import Path
        from srtrain.launch.cluster import Plan, started
        with started(Plan(2, Path("logs"), 2, 1), sys.argv[1:]) as job:
            [process.wait() for process in job.workers.values()]
    """
    launcher = subprocess.Popen([sys.executable, "-c", code, *say, "--wait"], cwd=tmp_path)
    logs = [tmp_path / "logs" / f"worker_{rank}.log" for rank in (2, 3)]
    until = time.monotonic() + 60
    while not all(log.exists() and "MS_ROLE" in log.read_text() for log in logs):
        assert time.monotonic() < until
        time.sleep(0.05)
    ranks = psutil.Process(launcher.pid).children()
    assert len(ranks) == 2
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    assert not psutil.wait_procs(ranks, timeout=60)[1]
    for log in logs:
        said = log.read_text().splitlines()
        assert said[1:] == ["the launcher has ended: saving and stopping", "stopped by SIGTERM"]


def test_a_free_port_can_be_listened_on():
    port = free_port()
    assert 1024 <= port <= 65535
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_names_become_addresses():
    assert resolve("127.0.0.1") == "127.0.0.1"
    with pytest.raises(
        DeviceError, match=r"--master 'no\.such\.invalid': this machine does not know that name"
    ):
        resolve("no.such.invalid")


def test_ranks_count_machine_by_machine():
    plan = Plan(n_processes=4, n_nodes=3, node_rank=2, log_dir=Path())
    assert plan.world_size == 12
    assert list(plan.ranks) == [8, 9, 10, 11]
