"""The Ascend backend without a card: the functions it calls exist in MindSpore and accept its arguments."""

import os
from unittest.mock import call, create_autospec

import mindspore as ms
import pytest
from mindspore import nn
from mindspore.device_context import ascend
from srtrain_plugins.ascend.backend import AscendBackend

from srtrain.data.loader import Loader
from srtrain.data.sampler import Sampler
from srtrain.device import BACKENDS
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
    backend = AscendBackend(jit_level="O1", hf32=True, overflow_mode="INFNAN_MODE")
    backend.start("graph", 0)
    assert device["set_device"].call_args == call("Ascend")
    assert device["set_context"].call_args_list == [
        call(mode=ms.GRAPH_MODE),
        call(jit_config={"jit_level": "O1"}),
    ]
    assert device["precision_mode"].call_args == call("must_keep_origin_dtype")
    assert device["conv_allow_hf32"].call_args == device["matmul_allow_hf32"].call_args == call(True)
    assert device["set_deterministic"].call_args == call(True)
    assert os.environ["MS_ASCEND_CHECK_OVERFLOW_MODE"] == "INFNAN_MODE"
    assert (backend.rank, backend.world_size) == (0, 1)


def test_what_is_left_to_mindspore_is_not_set(device):
    AscendBackend(deterministic=False).start("pynative", 0)
    assert device["set_context"].call_args_list == [call(mode=ms.PYNATIVE_MODE)]
    assert device["set_deterministic"].call_args == call(False)
    assert "MS_ASCEND_CHECK_OVERFLOW_MODE" not in os.environ


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
        ({"jit_level": "O5"}, "device.jit_level = 'O5' is not one of '', 'O0', 'O1', 'O2'."),
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
    from srtrain_plugins.ascend.backend import PRECISION_MODES

    for mode in PRECISION_MODES:
        assert f"- {mode}:" in ascend.op_precision.precision_mode.__doc__
