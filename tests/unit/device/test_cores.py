"""The number of cores is what the system allows this process, not what the machine has."""

import os

from srtrain.device.cores import usable_cores


def test_usable_cores_are_those_of_this_process():
    everything = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(everything)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, everything)
    assert usable_cores() == len(everything)
