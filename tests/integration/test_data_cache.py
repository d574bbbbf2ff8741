"""The decoded cache with real processes: one that is killed with kill -9, and several at once."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from srtrain.data.cache import MappedPictures
from srtrain.data.folders import folder
from srtrain.data.picture import write_png
from srtrain.data.store import Pictures

BUILD = """
import sys
from pathlib import Path
from srtrain.data.cache import MappedPictures
from srtrain.data.folders import folder
from srtrain.data.store import Pictures

pairs = folder(sys.argv[1], 2, "on_the_fly")
sizes = Pictures(pairs, 2, "none").lq_sizes
print(MappedPictures(pairs, 2, sizes, Path(sys.argv[2])).n_decoded)
"""


@pytest.fixture(scope="module")
def folder_of_pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for i in range(160):
        write_png(root / f"{i:03d}.png", np.random.default_rng(i).integers(0, 256, (160, 192, 3), np.uint8))
    return root


def start(root, cache):
    command = [sys.executable, "-c", BUILD, str(root), str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def journal_lines(cache):
    return sum(len(path.read_text().splitlines()) for path in cache.glob("*/*/manifest.jsonl"))


def open_here(root, cache):
    pairs = folder(str(root), 2, "on_the_fly")
    straight = Pictures(pairs, 2)
    mapped = MappedPictures(pairs, 2, straight.lq_sizes, cache)
    for i in range(len(straight)):
        assert np.array_equal(mapped.gt(i), straight.gt(i))
        assert np.array_equal(mapped.lq(i), straight.lq(i))
    return mapped


def test_a_killed_build_goes_on_where_it_was(folder_of_pictures, tmp_path):
    process = start(folder_of_pictures, tmp_path)
    while journal_lines(tmp_path) < 32:
        assert process.poll() is None, "the build ended before it could be killed"
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = journal_lines(tmp_path)
    assert 32 <= kept < 320
    assert open_here(folder_of_pictures, tmp_path).n_decoded == 320 - kept


@pytest.mark.slow
def test_processes_share_the_work_of_one(folder_of_pictures, tmp_path):
    processes = [start(folder_of_pictures, tmp_path) for _ in range(3)]
    decoded = [int(process.communicate()[0]) for process in processes]
    assert sum(decoded) == 320
    assert open_here(folder_of_pictures, tmp_path).n_decoded == 0
