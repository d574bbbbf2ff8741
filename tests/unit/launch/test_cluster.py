"""Ports and names. tests/integration/test_distributed.py starts real processes."""

import socket
from pathlib import Path

import pytest

from srtrain.errors import DeviceError
from srtrain.launch.cluster import Plan, free_port, resolve


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
