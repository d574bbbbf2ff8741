"""Parsing memory sizes, and measuring the memory of this process."""

from unittest.mock import create_autospec

import mindspore as ms
import numpy as np
import pytest

from srtrain.engines.memory import Gauge, Memory, parse_bytes, resident_bytes
from srtrain.engines.mindspore import CardMemory, device_memory, memory_errors
from srtrain.errors import RecipeError


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("1.5GB", 1_500_000_000),
        ("800 mb", 800_000_000),
        ("2GiB", 2**31),
        ("64k", 64_000),
        ("1000", 1000),
        (".5g", 5e8),
    ],
)
def test_amounts(text, n_bytes):
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "0.0GB", "1.5TB", "GB", "1,5GB", "2i"])
def test_what_is_no_amount(text):
    with pytest.raises(RecipeError, match=r"is not an amount of memory; write it as 1\.5GB"):
        parse_bytes(text)


def test_a_gauge_sees_what_was_held_for_a_moment():
    before = resident_bytes()
    gauge = Gauge()
    assert abs(gauge.base_bytes - before) < 20_000_000
    assert gauge.bytes_per_px == 40_000  # nothing is known yet
    np.ones(25_000_000)  # 200 MB, gone at once
    gauge.ran(100_000)
    gauge.ran(10)
    assert 1900 < gauge.bytes_per_px < 2200


def test_a_gauge_that_saw_nothing_grow_stays_careful():
    gauge = Gauge()
    gauge.ran(10_000_000)
    assert gauge.bytes_per_px == 1000


def test_the_memory_of_a_card_is_asked_of_mindspore(monkeypatch):
    """The host cannot see it; the functions are those of the installed MindSpore."""
    for name in ("reset_peak_memory_stats", "memory_allocated", "max_memory_allocated"):
        monkeypatch.setattr(ms.runtime, name, create_autospec(getattr(ms.runtime, name)))
    ms.runtime.memory_allocated.return_value = 100_000_000
    ms.runtime.max_memory_allocated.return_value = 300_000_000
    gauge = Gauge(CardMemory())
    assert ms.runtime.reset_peak_memory_stats.called
    gauge.ran(100_000)
    assert gauge.bytes_per_px == 2000
    assert type(device_memory()) is Memory
    monkeypatch.setattr(ms, "get_context", lambda key: "Ascend")
    assert type(device_memory()) is CardMemory


@pytest.mark.parametrize(
    "text",
    [
        "#umsg#Memory not enough:#umsg#Device(id:0) memory isn't enough and alloc failed, alloc size: 1024",
        "Out of Memory!!! Request memory size: 31286953984B, Memory Statistic: Device HBM memory size: 32768M",
        "Allocate device memory failed!",
        "Allocate memory failed, maybe device memory(device id:0) is not enough",
        "Allocate dynamic workspace memory failed, alloc size: 9",
        "Failed to allocate memory for device tensor store:",
        "Alloc device mem failed, alloc size : 4096",
        "AllocDeviceMemByEagerFree failed, alloc_size : 4096",
        "EL0004: Failed to allocate memory.",
        "rtMalloc failed, ret code is 207001",
        "could not create a primitive",
    ],
)
def test_texts_that_mean_out_of_memory(text):
    with pytest.raises(MemoryError), memory_errors(np.zeros((1, 3, 4, 4), np.float32)):
        raise RuntimeError(text)


@pytest.mark.parametrize(
    "text",
    ["could not create a primitive descriptor", "For 'Conv2D', 'C_in' is 4", "Set memory config failed"],
)
def test_texts_that_mean_something_else(text):
    with pytest.raises(RuntimeError, match=text), memory_errors(np.zeros((1, 3, 4, 4), np.float32)):
        raise RuntimeError(text)
