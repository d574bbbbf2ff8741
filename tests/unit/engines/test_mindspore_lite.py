"""The engine for cards without MindSpore Lite, which has no wheel here: a stand-in with the documented calls.

Source: mindspore.cn/lite/api, ``Context``, ``Model.build_from_file`` and ``Model.predict`` of release 2.10.
"""

import sys
import types

import numpy as np
import pytest

from srtrain.engines import engine as engine_module
from srtrain.errors import CheckpointError, DeviceError, RecipeError
from srtrain.infer.open import open_engine, tell_device


class Tensor:
    def __init__(self, array):
        self.array = array
        self.shape = list(array.shape)

    def set_data_from_numpy(self, array):
        assert list(array.shape) == self.shape
        self.array = array

    def get_data_to_numpy(self):
        return self.array


class Lite(types.ModuleType):
    """Doubles pictures, and fails as it is told: ``broken`` are the targets that cannot be used."""

    def __init__(self, broken=(), predict=""):
        super().__init__("mindspore_lite")
        self.calls = calls = []

        class Context:
            def __init__(self):
                self.ascend, self.cpu = (
                    types.SimpleNamespace(device_id=0),
                    types.SimpleNamespace(thread_num=0),
                )

        class Model:
            def build_from_file(self, model_path, model_type, context=None, config_path=""):
                (target,) = context.target
                calls.append((target, context.ascend.device_id, config_path))
                if target in broken:
                    raise RuntimeError(f"build_from_file failed on {target}")
                self.input = Tensor(np.zeros((1, 3, 16, 16), np.float32))

            def get_inputs(self):
                return [self.input]

            def resize(self, inputs, dims):
                self.input = Tensor(np.zeros(dims[0], np.float32))

            def predict(self, inputs):
                if predict:
                    raise RuntimeError(predict)
                return [Tensor(inputs[0].array.repeat(2, 2).repeat(2, 3))]

        self.Context, self.Model = Context, Model
        self.ModelType = types.SimpleNamespace(MINDIR="MINDIR")


@pytest.fixture
def lite(monkeypatch):
    """Install a stand-in."""

    def install(**faults):
        module = Lite(**faults)
        monkeypatch.setitem(sys.modules, "mindspore_lite", module)
        found = engine_module.find_spec
        monkeypatch.setattr(engine_module, "find_spec", lambda name: name == "mindspore_lite" or found(name))
        return module

    return install


def test_the_card_and_the_configuration_reach_lite(lite, exported, tmp_path, capsys):
    module, config = lite(), tmp_path / "lite.ini"
    config.write_text("[ge_graph_options]\n")
    options = {"device_id": 3, "config": str(config)}
    engine = open_engine(exported / "net.mindir", "mindspore_lite", options=options)
    assert module.calls == [("ascend", 3, str(config))]
    assert engine(np.ones((1, 3, 5, 7), np.float32)).shape == (1, 3, 10, 14)
    tell_device(engine, options)
    assert capsys.readouterr().err.endswith("net.mindir' on Ascend, device 3\n")


def test_a_fall_back_to_the_cpu_is_printed_with_its_reason(lite, exported, capsys):
    module = lite(broken=("ascend",))
    engine = open_engine(exported / "net.mindir", "mindspore_lite")
    assert [call[0] for call in module.calls] == ["ascend", "cpu"]
    tell_device(engine, {})
    assert "on CPU, because Ascend failed: build_from_file failed on ascend" in capsys.readouterr().err


def test_a_card_that_was_asked_for_is_an_error_where_it_fails(lite, exported):
    lite(broken=("ascend",))
    with pytest.raises(DeviceError, match=r"on the card --device-id 1: build_from_file failed on ascend"):
        open_engine(exported / "net.mindir", "mindspore_lite", options={"device_id": 1})


def test_a_file_that_no_device_opens(lite, exported):
    lite(broken=("ascend", "cpu"))
    with pytest.raises(CheckpointError, match=r"ascend: .* on ascend.* cpu: .* on cpu"):
        open_engine(exported / "net.mindir", "mindspore_lite")


def test_a_configuration_that_is_not_there(lite, exported, tmp_path):
    lite()
    with pytest.raises(RecipeError, match=r"--engine-config '.*none\.ini' is not a file"):
        open_engine(exported / "net.mindir", "mindspore_lite", options={"config": tmp_path / "none.ini"})


def test_memory_that_runs_out_on_the_card_makes_tiles_smaller(lite, exported):
    lite(predict="Model predict failed, Out of Memory!!! total size 12345")
    engine = open_engine(exported / "net.mindir", "mindspore_lite")
    with pytest.raises(MemoryError):
        engine(np.ones((1, 3, 5, 7), np.float32))
