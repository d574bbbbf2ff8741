"""HCCL's rank table is read, checked and written; every mistake in it is reported."""

import json
from pathlib import Path

import pytest

from srtrain.errors import DeviceError
from srtrain.launch import rank_table


def device(number, rank, ip=None):
    return {"device_id": str(number), "device_ip": ip or f"192.168.100.{100 + rank}", "rank_id": str(rank)}


def table(**changes):
    """The table of the model zoo's launch script for two servers of two cards, with changes."""
    return {
        "version": "1.0",
        "server_count": "2",
        "server_list": [
            {"server_id": "10.0.0.1", "device": [device(0, 0), device(1, 1)], "host_nic_ip": "reserve"},
            {"server_id": "10.0.0.2", "device": [device(0, 2), device(1, 3)], "host_nic_ip": "reserve"},
        ],
        "status": "completed",
        **changes,
    }


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "hccl.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_a_table_is_read_and_written_back(file, tmp_path):
    read = rank_table.read(file(table()))
    assert [server.server_id for server in read.servers] == ["10.0.0.1", "10.0.0.2"]
    assert read.servers[1].devices[1] == rank_table.Device(1, "192.168.100.103", 3)
    rank_table.write(read, tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == table()


def two(**second):
    first, other = table()["server_list"]
    return [first, {**other, **second}]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ([], "it must hold an object, not list."),
        ({}, "'version' is missing."),
        (table(server_list={}), "server_list must be a list of objects."),
        (table(server_list=two(device=[])), "server_list[1] has no device."),
        (table(server_list=[{"device": [device(0, 0)]}]), "server_list[0].server_id is missing."),
        (
            table(server_list=two(device=[{"device_id": 0, "rank_id": "x"}])),
            "server_list[1].device[0].device_id = 0 must be a string.",
        ),
        (
            table(server_list=two(device=[{"device_id": 0, "rank_id": "x"}])),
            "server_list[1].device[0].device_ip is missing.",
        ),
        (
            table(server_list=two(device=[{"device_id": 0, "rank_id": "x"}])),
            "server_list[1].device[0].rank_id = 'x' must be a whole number as a string, such as \"0\".",
        ),
        (table(server_count="3"), "server_count = '3', but server_list has 2."),
        (table(status="initializing"), "status = 'initializing' must be 'completed'"),
        (table(server_list=two(server_id="10.0.0.1")), "server_id '10.0.0.1' appears 2 times."),
        (
            table(server_list=two(device=[device(1, 2), device(1, 3)])),
            "server '10.0.0.2' has device_id 1 2 times.",
        ),
        (
            table(server_list=two(device=[device(0, 1), device(1, 3)])),
            "the ranks must be 0 to 3 in the order of the servers and devices, not [0, 1, 1, 3].",
        ),
        (table(server_list=two(device=[device(0, 2)])), "every server must have the same number of devices"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(content, says, file):
    path = file(content)
    with pytest.raises(DeviceError) as caught:
        rank_table.read(path)
    assert str(caught.value).startswith(f"the rank table {str(path)!r} is")
    assert says in str(caught.value)


def test_all_mistakes_come_together(file):
    with pytest.raises(DeviceError) as caught:
        rank_table.read(file(table(server_count="3", status="initializing")))
    assert str(caught.value).count("\n") == 2


def test_a_missing_table_says_what_to_do(tmp_path):
    with pytest.raises(
        DeviceError, match=r"No such file or directory\. Write one with 'srtrain launch rank-table'"
    ):
        rank_table.read(tmp_path / "none.json")


def test_this_machine_is_found_by_its_address_or_told(file):
    read = rank_table.read(file(table()))
    assert read.index_of_this_machine(1) == 1
    with pytest.raises(
        DeviceError, match=r"it has 10\.0\.0\.1, 10\.0\.0\.2, and the addresses here are .*127\.0\.0\.1"
    ):
        read.index_of_this_machine()
    with pytest.raises(DeviceError, match=r"--node-rank 2: the rank table .* has 2 servers"):
        read.index_of_this_machine(2)
    here = rank_table.read(file(table(server_list=two(server_id="127.0.0.1"))))
    assert here.index_of_this_machine() == 1


def test_a_table_is_made_of_servers_and_addresses():
    made = rank_table.make(["10.0.0.1:0-1", "10.0.0.2:4,6"], [f"192.168.1.{i}" for i in range(4)])
    assert [(d.device_id, d.rank_id, d.device_ip[-1]) for s in made.servers for d in s.devices] == [
        (0, 0, "0"),
        (1, 1, "1"),
        (4, 2, "2"),
        (6, 3, "3"),
    ]


@pytest.mark.parametrize(
    ("servers", "addresses", "says"),
    [
        (["10.0.0.1"], ["192.168.1.1"], "--servers '10.0.0.1' must be an address and its devices"),
        (["10.0.0.1:0-x"], None, "--servers '10.0.0.1:0-x' must be an address and its devices"),
        (["host:0"], None, "--servers: 'host' is not an IP address."),
        (["10.0.0.1:0-1"], ["192.168.1.1"], r"--device-ips has 1 address for 2 devices"),
        (["10.0.0.1:0"], ["card0"], "--device-ips: 'card0' is not an IP address."),
        (
            ["10.0.0.1:0", "10.0.0.2:0"],
            None,
            "the addresses of cards on other machines cannot be found from here",
        ),
        (["10.0.0.1:0,0"], ["192.168.1.1", "192.168.1.2"], "has device_id 0 2 times"),
    ],
)
def test_what_cannot_be_made_says_why(servers, addresses, says):
    with pytest.raises(DeviceError, match=says):
        rank_table.make(servers, addresses)


def test_the_addresses_of_this_machines_cards_are_the_drivers(tmp_path, monkeypatch):
    conf = tmp_path / "hccn.conf"
    monkeypatch.setattr(rank_table, "HCCN_CONF", conf)
    with pytest.raises(DeviceError, match=r"there is no .*hccn\.conf here\. Give them with --device-ips"):
        rank_table.make(["10.0.0.1:0-1"])
    conf.write_text("address_0=192.168.100.101\nnetmask_0=255.255.255.0\naddress_1=192.168.101.101\n")
    made = rank_table.make(["10.0.0.1:0-1"])
    assert [d.device_ip for d in made.servers[0].devices] == ["192.168.100.101", "192.168.101.101"]
    with pytest.raises(DeviceError, match=r"has no address for cards 2, 3"):
        rank_table.make(["10.0.0.1:0-3"])


def test_the_name_of_the_file_is_kept(file):
    path = file(table())
    assert rank_table.read(path).file == Path(path)
