"""The base class is this machine's CPU, alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from srtrain.device.backend import Backend
from srtrain.errors import DeviceError

START = """
import mindspore as ms
from srtrain.errors import DeviceError
from srtrain.device import BACKENDS
import srtrain.device.backend

backend = BACKENDS.build("cpu")
for mode in ("graph", "pynative"):
    backend.start(mode, 1)
    print(ms.get_context("device_target"), ms.get_context("mode") == ms.GRAPH_MODE)
try:
    backend.start("graph", 2)
except DeviceError as error:
    print(error)
"""


@pytest.mark.slow
def test_starting_chooses_the_mode_and_threads_once_a_process():
    result = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [
        "CPU True",
        "CPU False",
        "train.threads = 2: MindSpore already runs on 1 thread in this process and cannot change that. Start a new "
        "process.",
    ]


def test_a_missing_device_says_why():
    class Missing(Backend):
        target = "Ascend"

        def unavailable(self):
            return "there is no driver."

    with pytest.raises(DeviceError, match=r"^device = 'ascend' cannot be used here: there is no driver\.$"):
        Missing().start("graph", 0)


def test_alone_there_is_nothing_to_share():
    backend = Backend()
    assert (backend.rank, backend.world_size) == (0, 1)
    assert backend.gradient_reducer([]) is None
    array = np.float64([1, 2])
    assert backend.all_reduce_sum(array) is array
    backend.barrier()
    backend.close()


def test_memory_is_in_bytes():
    status = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert Backend().peak_memory_bytes() == pytest.approx(kilobytes * 1024, rel=0.05)
