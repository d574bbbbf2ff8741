"""Fixtures shared by all tests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from srtrain.device.backend import Backend

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout that these tests belong to."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The research pictures and weights that are not part of the project; skips where they are missing."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the research data in {folder}, which is not there")
    return folder


@pytest.fixture(scope="session")
def events() -> Callable[[Path], list[Event]]:
    """Read a folder's event files as they are laid out: length, its checksum, the message, its checksum."""

    def events(folder: Path) -> list[Event]:
        found = []
        for file in sorted(folder.glob("events.out.tfevents.*")):
            data = file.read_bytes()
            while data:
                (length,) = struct.unpack("<Q", data[:8])
                found.append(Event.FromString(data[12 : 12 + length]))
                data = data[16 + length :]
        return found

    return events


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the decoded pictures of the tests out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRTRAIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _device() -> None:
    """Claim the CPU as a run does, first of all: MindSpore allows it only before anything was computed.

    Else a test that starts a run in this process would fail when it comes after these.
    """
    Backend().start("pynative", 0)
