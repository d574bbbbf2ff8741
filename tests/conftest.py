"""How the tests share the cores of the machine, and fixtures that all tests share."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tensorboardX.proto.event_pb2 import Event

ROOT = Path(__file__).resolve().parent.parent
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")

# MindSpore's threads wait by spinning. Two processes with two threads each on two cores are several times slower than
# two with one thread each. So each worker, and every process that it starts, gets one core. This has to happen before
# NumPy, OpenCV or MindSpore is imported, because they count the cores at that time.
if WORKER and hasattr(os, "sched_setaffinity"):
    _cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {_cores[int(WORKER.removeprefix("gw")) % len(_cores)]})


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Answer ``-n auto``: one worker a core, at most four, because each needs up to 3 GB."""
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have the most slow tests, so that no worker waits long for the other at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


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
def cramped() -> Callable[[int], AbstractContextManager[None]]:
    """Let this process map only so many bytes more, for a block: a larger allocation fails."""

    @contextlib.contextmanager
    def cramped(n_bytes: int) -> Iterator[None]:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        (mapped,) = re.findall(r"VmSize:\s+(\d+) kB", status)
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (int(mapped) * 1024 + n_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    return cramped


@pytest.fixture(scope="session")
def events() -> Callable[[Path], list[Event]]:
    """Read the records of a folder's event files: length, its checksum, the message, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

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
    """Keep decoded pictures and consents of the tests out of the user's folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRTRAIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _device() -> None:
    """Set up the CPU as a run does, before all tests: MindSpore allows this only before the first computation.

    Otherwise a later test that starts a run in this process would fail.
    """
    from srtrain.device.backend import Backend

    Backend().start("pynative", 0)
