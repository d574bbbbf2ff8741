"""HCCL's rank table: which devices of which servers are which ranks. ``RANK_TABLE_FILE`` names it.

    {"version": "1.0", "server_count": "1", "status": "completed", "server_list": [
        {"server_id": "10.0.0.1", "host_nic_ip": "reserve", "device": [
            {"device_id": "0", "device_ip": "192.168.100.101", "rank_id": "0"}]}]}

All values are strings. ``device_ip`` is the address of the card's own network port, which HCCL uses between
servers.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from srtrain.errors import DeviceError, cannot, counted, listing
from srtrain.files import write_whole
from srtrain.files.json_file import checked, read_text

HCCN_CONF = Path("/etc/hccn.conf")
"""File in which the driver stores the addresses of this machine's cards: ``address_0=192.168.100.101``."""


@dataclass(frozen=True)
class Device:
    """One card."""

    device_id: int
    device_ip: str
    rank_id: int


@dataclass(frozen=True)
class Server:
    """One machine; ``server_id`` is its address."""

    server_id: str
    devices: tuple[Device, ...]
    host_nic_ip: str = "reserve"


@dataclass(frozen=True)
class RankTable:
    """A whole table. The ranks are numbered from 0, server by server."""

    file: Path
    servers: tuple[Server, ...]

    def index_of_this_machine(self, node_rank: int | None = None) -> int:
        """Return the index of the server that is this machine: ``node_rank`` if it is given, else found by address.

        Raises:
            DeviceError: no server has an address of this machine, or there is no such server.
        """
        names = [server.server_id for server in self.servers]
        if node_rank is not None:
            if not 0 <= node_rank < len(names):
                raise DeviceError(
                    f"--node-rank {node_rank}: the rank table {self.file} has {counted(len(names), 'server')}."
                )
            return node_rank
        if len(names) == 1:
            return 0
        own = own_addresses()
        for index, name in enumerate(names):
            if name in own:
                return index
        raise DeviceError(
            f"no server of the rank table {self.file} is this machine: it has {listing(names)}, and the addresses "
            f"here are {listing(own)}. Give the number of this machine: --node-rank K."
        )


def read(file: Path) -> RankTable:
    """Read and check a table.

    Raises:
        DeviceError: the file is missing, is not JSON, or has mistakes, which are all reported together.
    """
    try:
        content = checked(read_text(file), object)
    except OSError as error:
        raise DeviceError(
            f"the rank table {str(file)!r} cannot be read: {error.strerror}. Write one with 'srtrain launch "
            f"rank-table', or unset RANK_TABLE_FILE."
        ) from error
    except ValueError as error:
        raise DeviceError(f"the rank table {str(file)!r} is not JSON: {error}.") from error
    mistakes: list[str] = []
    table = RankTable(file, tuple(_servers(content, mistakes)))
    if not mistakes:
        mistakes = _contradictions(content, table)
    if mistakes:
        raise DeviceError(f"the rank table {str(file)!r} is wrong:\n  " + "\n  ".join(mistakes))
    return table


def _servers(content: Any, mistakes: list[str]) -> list[Server]:
    """Return the servers in the file; add missing keys and wrong types to ``mistakes``."""
    if not isinstance(content, dict):
        mistakes.append(f"it must hold an object, not {type(content).__name__}.")
        return []
    for key in ("version", "server_count", "server_list", "status"):
        if key not in content:
            mistakes.append(f"{key!r} is missing.")
    servers = []
    for i, entry in enumerate(_objects(content.get("server_list", []), "server_list", mistakes)):
        where = f"server_list[{i}]"
        devices = []
        for j, device in enumerate(_objects(entry.get("device", []), f"{where}.device", mistakes)):
            place = f"{where}.device[{j}]"
            number = _whole(device, "device_id", place, mistakes)
            address = _text(device, "device_ip", place, mistakes)
            devices.append(Device(number, address, _whole(device, "rank_id", place, mistakes)))
        if not devices:
            mistakes.append(f"{where} has no device.")
        name = _text(entry, "server_id", where, mistakes)
        servers.append(Server(name, tuple(devices), str(entry.get("host_nic_ip", "reserve"))))
    return servers


def _objects(value: Any, where: str, mistakes: list[str]) -> list[dict[str, Any]]:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    mistakes.append(f"{where} must be a list of objects.")
    return []


def _text(entry: dict[str, Any], key: str, where: str, mistakes: list[str]) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        mistakes.append(
            f"{where}.{key} {'is missing' if value is None else f'= {value!r} must be a string'}."
        )
        return ""
    return value


def _whole(entry: dict[str, Any], key: str, where: str, mistakes: list[str]) -> int:
    value = _text(entry, key, where, mistakes)
    if value and not value.isdecimal():
        mistakes.append(f'{where}.{key} = {value!r} must be a whole number as a string, such as "0".')
    return int(value) if value.isdecimal() else -1


def _contradictions(content: dict[str, Any], table: RankTable) -> list[str]:
    """Return the mistakes of a table whose keys and types are right."""
    mistakes = []
    count = str(content["server_count"])
    if count != str(len(table.servers)):
        mistakes.append(f"server_count = {count!r}, but server_list has {len(table.servers)}.")
    if content["status"] != "completed":
        mistakes.append(
            f"status = {content['status']!r} must be 'completed': the cluster has not finished the table."
        )
    for name, times in Counter(server.server_id for server in table.servers).items():
        if times > 1:
            mistakes.append(f"server_id {name!r} appears {times} times.")
    for server in table.servers:
        for device, times in Counter(d.device_id for d in server.devices).items():
            if times > 1:
                mistakes.append(f"server {server.server_id!r} has device_id {device} {times} times.")
    ranks = [device.rank_id for server in table.servers for device in server.devices]
    if ranks != list(range(len(ranks))):
        mistakes.append(
            f"the ranks must be 0 to {len(ranks) - 1} in the order of the servers and devices, not {ranks}."
        )
    sizes = {server.server_id: len(server.devices) for server in table.servers}
    if len(set(sizes.values())) > 1:
        mistakes.append(
            "every server must have the same number of devices, because the launcher starts as many processes on "
            f"each. Here they have {sizes}."
        )
    return mistakes


def make(servers: Sequence[str], device_ips: Sequence[str] | None = None) -> RankTable:
    """Return a table of servers written as ``10.0.0.1:0-7``.

    Args:
        servers: addresses of the servers with their devices.
        device_ips: addresses of the cards' network ports, in the order of the devices; by default those in
            ``/etc/hccn.conf``.

    Raises:
        DeviceError: an argument is malformed, or addresses are missing.
    """
    parsed = [_parse_server(text) for text in servers]
    numbers = [number for _, devices in parsed for number in devices]
    addresses = list(device_ips) if device_ips else _addresses_here(parsed)
    if len(addresses) != len(numbers):
        raise DeviceError(
            f"--device-ips has {counted(len(addresses), 'address', 'addresses')} for {counted(len(numbers), 'device')}."
        )
    for address in addresses:
        _check_address(address, "--device-ips")
    rows = iter(enumerate(addresses))
    made = []
    for name, devices in parsed:
        cards = tuple(
            Device(number, address, rank) for number, (rank, address) in zip(devices, rows, strict=False)
        )
        made.append(Server(name, cards))
    table = RankTable(Path("rank table"), tuple(made))
    if mistakes := _contradictions(_content(table), table):
        raise DeviceError("these servers do not make a valid rank table: " + " ".join(mistakes))
    return table


def _parse_server(text: str) -> tuple[str, list[int]]:
    name, _, devices = text.rpartition(":")
    numbers: list[int] = []
    for part in devices.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if not name or not found:
            raise DeviceError(
                f"--servers {text!r} must be an address and its devices, such as 10.0.0.1:0-7 or 10.0.0.1:0,2,4."
            )
        numbers += range(int(found[1]), int(found[2] or found[1]) + 1)
    _check_address(name, "--servers")
    return name, numbers


def _check_address(text: str, option: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise DeviceError(f"{option}: {text!r} is not an IP address.") from error


def _addresses_here(servers: list[tuple[str, list[int]]]) -> list[str]:
    """Return the addresses that the driver of this machine has stored for its cards."""
    advice = "Give them with --device-ips, in the order of the devices; 'hccn_tool -i 0 -ip -g' shows that of card 0."
    if len(servers) > 1:
        raise DeviceError(f"the addresses of cards on other machines cannot be found from here. {advice}")
    if not HCCN_CONF.is_file():
        raise DeviceError(f"the addresses of the cards are unknown: there is no {HCCN_CONF} here. {advice}")
    known = dict(re.findall(r"^address_(\d+)=(\S+)", HCCN_CONF.read_text(encoding="utf-8"), re.MULTILINE))
    missing = [str(number) for number in servers[0][1] if str(number) not in known]
    if missing:
        raise DeviceError(
            f"{HCCN_CONF} has no address for {'card' if len(missing) == 1 else 'cards'} {listing(missing)}. {advice}"
        )
    return [known[str(number)] for number in servers[0][1]]


def to_json(table: RankTable) -> str:
    """Return the table as HCCL reads it."""
    return json.dumps(_content(table), indent=2)


def write(table: RankTable, file: Path) -> None:
    """Write the table as HCCL reads it.

    Raises:
        DeviceError: the file cannot be written.
        MachineError: the disk is full.
    """
    try:
        write_whole(file, to_json(table) + "\n")
    except OSError as error:
        raise cannot(f"the rank table cannot be written to {str(file)!r}", error, kind=DeviceError) from error


def _content(table: RankTable) -> dict[str, Any]:
    return {
        "version": "1.0",
        "server_count": str(len(table.servers)),
        "server_list": [
            {
                "server_id": server.server_id,
                "device": [
                    {"device_id": str(d.device_id), "device_ip": d.device_ip, "rank_id": str(d.rank_id)}
                    for d in server.devices
                ],
                "host_nic_ip": server.host_nic_ip,
            }
            for server in table.servers
        ],
        "status": "completed",
    }


def own_addresses() -> list[str]:
    """Return the addresses of this machine's network ports."""
    return [a.address.split("%")[0] for addresses in psutil.net_if_addrs().values() for a in addresses]
