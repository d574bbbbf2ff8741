"""ONNX Runtime: threads, and the device that was asked for."""

import onnxruntime
import pytest

from srtrain.engines.onnxruntime import _device, _providers
from srtrain.errors import DeviceError, RecipeError
from srtrain.infer.open import open_engine


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_bound(exported, threads):
    engine = open_engine(exported / "net.onnx", threads=threads)
    assert engine._session.get_session_options().intra_op_num_threads == threads


def test_a_provider_that_the_package_lacks_says_what_to_install(exported):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime was built for CUDA")
    with pytest.raises(
        DeviceError, match=r"^--provider cuda: .* CPUExecutionProvider.* pip install 'srtrain\[gpu\]'"
    ):
        open_engine(exported / "net.onnx", options={"provider": "cuda"})
    with pytest.raises(DeviceError, match=r"^--device-id 1: this onnxruntime computes on the CPU"):
        open_engine(exported / "net.onnx", options={"device_id": 1})
    with pytest.raises(RecipeError, match=r"^--provider 'gpu' is not one of cann, cpu, cuda"):
        open_engine(exported / "net.onnx", options={"provider": "gpu"})
    assert open_engine(exported / "net.onnx", options={"provider": "cpu"}).runs_on == "CPU"


ALL = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


def test_a_package_for_cuda_gets_the_number_of_the_gpu():
    """A package with CUDA lists it even on a machine without a GPU, and then computes on the CPU."""
    assert _providers("cuda", 2, ALL) == [
        ("CUDAExecutionProvider", {"device_id": "2"}),
        "CPUExecutionProvider",
    ]
    assert _providers(None, None, ALL) == [
        ("CUDAExecutionProvider", {"device_id": "0"}),
        "CPUExecutionProvider",
    ]
    assert _providers("cpu", None, ALL) == ["CPUExecutionProvider"]
    assert _device(ALL, "cuda", 2) == "CUDA, device 2"
    assert _device(["CPUExecutionProvider"], None, None) == "CPU"
    with pytest.raises(DeviceError, match=r"^--provider cuda: ONNX Runtime finds no device that it can use"):
        _device(["CPUExecutionProvider"], "cuda", None)
    with pytest.raises(DeviceError, match=r"^--device-id 1: ONNX Runtime finds no device"):
        _device(["CPUExecutionProvider"], None, 1)


def test_an_option_of_another_engine_is_refused(exported):
    with pytest.raises(
        RecipeError, match=r"^the engine 'ncnn' takes no --device-id\. Engines that take it: .*onnxruntime"
    ):
        open_engine(exported / "net.param", options={"device_id": 0})
