"""The Ascend backend without a card: the functions it calls exist in MindSpore and accept its arguments."""

import os
import re
from unittest.mock import call, create_autospec

import mindspore as ms
import pytest
from mindspore import amp, nn
from mindspore.device_context import ascend
from srtrain_plugins.ascend.backend import PRECISION_MODES, AscendBackend

from srtrain.data.loader import Loader
from srtrain.data.sampler import Sampler
from srtrain.device import BACKENDS
from srtrain.device.finite import RegisterCheck
from srtrain.errors import DeviceError, RecipeError
from srtrain.trainer.sink import batches_to_sink

OWNERS = {
    "is_available": ascend,
    "precision_mode": ascend.op_precision,
    "conv_allow_hf32": ascend.op_precision,
    "matmul_allow_hf32": ascend.op_precision,
    "set_deterministic": ms,
    "set_context": ms,
    "set_device": ms,
    "data_sink": ms,
    "max_memory_allocated": ms.runtime,
    "set_cpu_affinity": ms.runtime,
}


@pytest.fixture
def device(monkeypatch):
    """Stand-ins with the signatures of the installed functions: a wrong argument raises TypeError."""
    made = {}
    for name, owner in OWNERS.items():
        made[name] = create_autospec(getattr(owner, name))
        monkeypatch.setattr(owner, name, made[name])
    made["is_available"].return_value = True
    monkeypatch.delenv("MS_ASCEND_CHECK_OVERFLOW_MODE", raising=False)
    return made


def test_starting_claims_the_card_and_sets_its_options(device):
    backend = AscendBackend(
        id=3,
        jit_level="O1",
        precision_mode="force_fp32",
        hf32=True,
        overflow_mode="INFNAN_MODE",
        bind_cores=True,
    )
    backend.start("graph", 0)
    assert device["set_device"].call_args_list == [call("Ascend", 3)]
    assert device["set_context"].call_args_list == [
        call(mode=ms.GRAPH_MODE),
        call(jit_config={"jit_level": "O1"}),
    ]
    assert device["precision_mode"].call_args == call("force_fp32")
    assert device["conv_allow_hf32"].call_args == device["matmul_allow_hf32"].call_args == call(True)
    assert device["set_deterministic"].call_args == call(True)
    assert device["set_cpu_affinity"].call_args == call(True)
    assert os.environ["MS_ASCEND_CHECK_OVERFLOW_MODE"] == "INFNAN_MODE"
    assert (backend.rank, backend.world_size) == (0, 1)


def test_what_is_left_to_cann_is_not_set(device):
    """The level of compiling is set: MindSpore's own is O2 on some cards, which cannot evaluate."""
    AscendBackend(deterministic=False).start("pynative", 0)
    assert device["set_device"].call_args_list == [call("Ascend", 0)]
    assert device["set_context"].call_args_list == [
        call(mode=ms.PYNATIVE_MODE),
        call(jit_config={"jit_level": "O0"}),
    ]
    assert device["set_deterministic"].call_args == call(False)
    assert not device["precision_mode"].called
    assert not device["set_cpu_affinity"].called
    assert "MS_ASCEND_CHECK_OVERFLOW_MODE" not in os.environ


def test_each_process_claims_the_card_of_its_row(device, monkeypatch):
    monkeypatch.setenv("MS_WORKER_NUM", "8")
    monkeypatch.setenv("DEVICE_ID", "5")
    AscendBackend().claim()
    assert device["set_device"].call_args_list == [call("Ascend", 5)]
    with pytest.raises(RecipeError, match=r"^device\.id = 2 would give all 8 processes the same card\."):
        AscendBackend(id=2).claim()


@pytest.mark.parametrize(
    ("first", "second", "mode", "register"),
    [
        (True, False, "", True),
        (False, True, "SATURATION_MODE", True),
        (False, True, "", False),
        (False, False, "", False),
    ],
)
def test_a_card_that_saturates_is_asked_for_its_register(first, second, mode, register, monkeypatch):
    monkeypatch.setattr(amp, "_ascend_910a_target", lambda: first)
    monkeypatch.setattr(amp, "_ascend_910b_target", lambda: second)
    monkeypatch.setenv("MS_ASCEND_CHECK_OVERFLOW_MODE", mode)
    check = AscendBackend().finite_check()
    assert isinstance(check, RegisterCheck) == register
    if register:
        assert type(check.read_register).__name__ == "NPUGetFloatStatusV2"
        assert type(check.clear_register).__name__ == "NPUClearFloatStatusV2"


def test_hccl_says_how_long_it_waits(monkeypatch):
    monkeypatch.delenv("HCCL_EXEC_TIMEOUT", raising=False)
    assert AscendBackend().collective_timeout() == ("HCCL_EXEC_TIMEOUT", 1800)
    monkeypatch.setenv("HCCL_EXEC_TIMEOUT", "0")
    assert AscendBackend().collective_timeout() == ("HCCL_EXEC_TIMEOUT", float("inf"))


def test_sinking_hands_update_and_batches_to_mindspore(device, pictures):
    loader = Loader(pictures, Sampler(len(pictures), 2, seed=3), gt_patch_px=16, workers=0)
    batches, update = batches_to_sink(loader, 0, 6), nn.Cell()
    backend = AscendBackend()
    assert backend.why_no_sink() == ""
    assert backend.sink(update, batches, 3) is device["data_sink"].return_value
    assert device["data_sink"].call_args == call(update, batches, sink_size=3)


def test_memory_is_that_of_the_card(device):
    device["max_memory_allocated"].return_value = 5 * 2**30
    assert AscendBackend().peak_memory_bytes() == 5 * 2**30


def test_mindspore_refuses_to_sink_on_a_cpu_as_we_say(pictures):
    loader = Loader(pictures, Sampler(len(pictures), 2, seed=3), gt_patch_px=16, workers=0)
    with pytest.raises(ValueError, match="supports ascend or gpu device target"):
        AscendBackend().sink(nn.Cell(), batches_to_sink(loader, 0, 4), 2)


@pytest.mark.skipif(ascend.is_available(), reason="there is a card here")
def test_a_machine_without_a_card_is_told_what_is_missing():
    with pytest.raises(DeviceError) as caught:
        AscendBackend().start("graph", 0)
    assert str(caught.value) == (
        "device = 'ascend' cannot be used here: MindSpore finds no Ascend NPU. Install the CANN toolkit and "
        "driver, and source Ascend's set_env.sh; npu-smi info lists the cards. To run on this "
        "machine, use --device cpu."
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"id": -1}, "device.id = -1 must be 0 or more; npu-smi info lists the cards."),
        ({"jit_level": "O5"}, "device.jit_level = 'O5' is not one of 'O0', 'O1', 'O2'."),
        (
            {"overflow_mode": "INFNAN"},
            "device.overflow_mode = 'INFNAN' is not one of '', 'INFNAN_MODE', 'SATURATION_MODE'. Did you mean "
            "'INFNAN_MODE'?",
        ),
    ],
)
def test_options_that_no_card_has_are_refused(wrong, message):
    with pytest.raises(RecipeError) as caught:
        BACKENDS.build("ascend", **wrong)
    assert str(caught.value) == message


def test_precision_modes_are_those_that_mindspore_takes():
    documented = re.findall(r"^ +- (\w+):", ascend.op_precision.precision_mode.__doc__, re.MULTILINE)
    assert sorted(PRECISION_MODES) == sorted(["", *documented])


def test_o2_refuses_what_it_cannot_evaluate():
    assert AscendBackend(jit_level="O1").why_fixed_sizes() == ""
    assert (
        AscendBackend(jit_level="O2")
        .why_fixed_sizes()
        .startswith("device.jit_level = 'O2' compiles a network for")
    )
