"""PyTorch's files: written by PyTorch if it is installed, and byte by byte otherwise."""

import io
import os
import pickle
import random
import re
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from srtrain.errors import CheckpointError
from srtrain.weights import torch_file


class Named:
    """Pickled as a global name that need not exist here."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self):
        raise AssertionError("only its name is for use")


class FakeTensor:
    """Pickled as PyTorch pickles a tensor; the arguments may be false."""

    def __init__(self, array, kind="FloatStorage", key="0", **lies):
        strides = tuple(stride // array.itemsize for stride in array.strides)
        facts = {"offset": 0, "shape": array.shape, "strides": strides, "n": array.size} | lies
        self.storage = ("storage", Named("torch", kind), key, "cpu", facts["n"])
        self.rest = (facts["offset"], facts["shape"], facts["strides"], False, OrderedDict())

    def __reduce__(self):
        return Named("torch._utils", "_rebuild_tensor_v2"), (Words(self.storage), *self.rest)


class Made:
    """Pickled as a call of a name, and a state."""

    def __init__(self, name, *arguments, state=None):
        self.how = (Named(*name.rsplit(".", 1)), arguments, state)

    def __reduce__(self):
        return self.how


class Words:
    """Pickled as a persistent id."""

    def __init__(self, words):
        self.words = words


class Pickler(pickle._Pickler):
    def save(self, obj, *args, **kwargs):
        if isinstance(obj, Named):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
            self.memoize(obj)
        else:
            super().save(obj, *args, **kwargs)

    def persistent_id(self, obj):
        return obj.words if isinstance(obj, Words) else None


def pickled(obj):
    stream = io.BytesIO()
    Pickler(stream, 2).dump(obj)
    return stream.getvalue()


@pytest.fixture
def write_zip(tmp_path):
    def write_zip(obj, *blocks, byteorder="little", compression=zipfile.ZIP_STORED):
        file = tmp_path / "weights.pt"
        with zipfile.ZipFile(file, "w", compression) as archive:
            archive.writestr("weights/data.pkl", obj if isinstance(obj, bytes) else pickled(obj))
            if byteorder:
                archive.writestr("weights/byteorder", byteorder)
            for index, block in enumerate(blocks):
                archive.writestr(f"weights/data/{index}", block)
        return file

    return write_zip


@pytest.fixture
def write_old(tmp_path):
    def write_old(obj, *blocks, little_endian=True):
        file = tmp_path / "weights.pt"
        head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": little_endian}]
        keys = [str(index) for index in range(len(blocks))]
        data = b"".join(map(pickled, [*head, obj, keys]))
        for block in blocks:
            data += struct.pack("<q", block.size) + block.tobytes()
        file.write_bytes(data)
        return file

    return write_old


WEIGHT = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)


def refusal(file):
    with pytest.raises(CheckpointError) as caught:
        torch_file.read(file)
    message = str(caught.value)
    assert message.startswith(repr(str(file)))
    return message


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("FloatStorage", np.float32([1, -2.5, 3e38])),
        ("DoubleStorage", np.float64([1, -2.5, 1e300])),
        ("HalfStorage", np.float16([1, -2.5, 65504])),
        ("LongStorage", np.int64([1, -2, 2**62])),
        ("IntStorage", np.int32([1, -2, 3])),
        ("ShortStorage", np.int16([1, -2, 3])),
        ("CharStorage", np.int8([1, -2, 3])),
        ("ByteStorage", np.uint8([1, 2, 255])),
        ("BoolStorage", np.array([True, False, True])),
    ],
)
@pytest.mark.parametrize("byteorder", ["little", "big", None])
def test_types_and_byte_orders(write_zip, kind, values, byteorder):
    stored = values.astype(values.dtype.newbyteorder(">" if byteorder == "big" else "<"))
    read = torch_file.read(write_zip({"a": FakeTensor(values, kind)}, stored.tobytes(), byteorder=byteorder))
    np.testing.assert_array_equal(read.tensors["a"], values)
    assert read.tensors["a"].dtype.kind == values.dtype.kind


@pytest.mark.parametrize(("byteorder", "order"), [("little", "<"), ("big", ">")])
def test_bfloat16_is_the_upper_half_of_a_float32(write_zip, byteorder, order):
    halves = np.array([0x3F80, 0xC020, 0x7F7F, 0x0001], f"{order}u2")  # 1, -2.5, the largest, the smallest
    file = write_zip({"a": FakeTensor(halves, "BFloat16Storage")}, halves.tobytes(), byteorder=byteorder)
    wanted = np.float32([1, -2.5, (2 - 2**-7) * 2.0**127, 2.0**-133])
    np.testing.assert_array_equal(torch_file.read(file).tensors["a"], wanted)


def test_views_of_one_storage(write_zip):
    block = np.arange(24, dtype=np.float32)
    state = {
        "turned": FakeTensor(block, shape=(3, 2), strides=(1, 3), offset=4),
        "whole": FakeTensor(block, shape=(4, 6), strides=(6, 1)),
        "one": FakeTensor(block, shape=(1, 2), strides=(10**15, 1), offset=22),
        "number": FakeTensor(block, shape=(), strides=(), offset=23),
    }
    tensors = torch_file.read(write_zip(state, block.tobytes())).tensors
    np.testing.assert_array_equal(tensors["turned"], [[4, 7], [5, 8], [6, 9]])
    np.testing.assert_array_equal(tensors["whole"], block.reshape(4, 6))
    np.testing.assert_array_equal(tensors["one"], [[22, 23]])
    assert tensors["number"] == 23


@pytest.mark.parametrize("write", ["write_zip", "write_old"])
@pytest.mark.parametrize("entry", ["", *torch_file.ENTRIES])
def test_a_state_dict_alone_or_in_a_checkpoint(request, write, entry):
    state = OrderedDict(weight=FakeTensor(WEIGHT), n_batches=3)
    moments = FakeTensor(np.zeros(2), "DoubleStorage", "1")
    whole = {"epoch": 7, entry: state, "optimizer": {"state": {0: {"step": moments}}}} if entry else state
    blocks = [WEIGHT, np.zeros(2)] if entry else [WEIGHT]
    blocks = [block.tobytes() for block in blocks] if write == "write_zip" else blocks
    read = torch_file.read(request.getfixturevalue(write)(whole, *blocks))
    assert (list(read.tensors), read.entry, read.note) == (["weight"], entry, None)
    np.testing.assert_array_equal(read.tensors["weight"], WEIGHT)


def test_averages_go_before_the_weights_they_are_of(write_zip):
    both = {"params": {"a": FakeTensor(WEIGHT)}, "params_ema": {"a": FakeTensor(WEIGHT, key="1")}}
    read = torch_file.read(write_zip(both, WEIGHT.tobytes(), (WEIGHT + 1).tobytes()))
    assert read.entry == "params_ema"
    np.testing.assert_array_equal(read.tensors["a"], WEIGHT + 1)


@pytest.mark.parametrize(
    ("around", "entry"),
    [
        (lambda state: {"net": {"params": state}}, "net.params"),
        (lambda state: {"model": {"state_dict": state, "step": 3}, "epoch": 3}, "model.state_dict"),
        (lambda state: {"checkpoint": {"params-ema": state}}, "checkpoint.params-ema"),
        (lambda state: {"generator": state, "optimizer": {"state": {}}}, "generator"),
        (lambda state: {"generator": {"weights": state}}, "generator.weights"),
        (
            lambda state: {"callbacks": {"best": {"score": FakeTensor(WEIGHT)}}, "state_dict": state},
            "state_dict",
        ),
        (
            lambda state: {"optimizer": {"params": {"a": FakeTensor(WEIGHT)}}, "net": {"main": state}},
            "net.main",
        ),
        (lambda state: {**state, "extra": {"a": FakeTensor(WEIGHT)}}, ""),
    ],
)
def test_a_state_dict_one_level_deeper_or_under_another_name(write_zip, around, entry):
    read = torch_file.read(write_zip(around({"weight": FakeTensor(WEIGHT)}), WEIGHT.tobytes()))
    assert (list(read.tensors), read.entry) == (["weight"], entry)


def test_several_networks_under_unusual_names_are_named(write_zip):
    both = {"generator": {"a": FakeTensor(WEIGHT)}, "discriminator": {"a": FakeTensor(WEIGHT)}}
    assert "holds tensors under discriminator, generator, and none" in refusal(
        write_zip(both, WEIGHT.tobytes())
    )


@pytest.mark.parametrize("write", ["write_zip", "write_old"])
def test_settings_beside_the_tensors_do_not_matter(request, write):
    args = Made("argparse.Namespace", state={"lr": 1e-4, "root": Made("pathlib.PosixPath", "/", "data")})
    whole = {
        "pytorch-lightning_version": "2.4.0",
        "hyper_parameters": {"args": args, "seen": Made("__builtin__.set", [1, 2])},
        "lr_schedulers": [{"milestones": Made("collections.Counter", {3: 2})}],
        "state_dict": {"net.weight": FakeTensor(WEIGHT)},
    }
    block = WEIGHT.tobytes() if write == "write_zip" else WEIGHT
    read = torch_file.read(request.getfixturevalue(write)(whole, block))
    assert (list(read.tensors), read.entry) == (["net.weight"], "state_dict")


def test_code_inside_settings_is_refused_and_not_run(write_zip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for hidden in (
        Made("argparse.Namespace", state={"a": RunsCode()}),
        Made("collections.defaultdict", Named("os", "system")),
        {"a": Made("collections.Counter", [RunsCode()])},
    ):
        message = refusal(write_zip({"hyper_parameters": hidden, "state_dict": {"a": FakeTensor(WEIGHT)}}))
        assert re.search(r"asks for '(posix|nt|os)\.system'.* Nothing of it was run", message)
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pt"]


def test_an_object_in_place_of_numbers_is_refused(write_zip):
    for odd in (Made("pathlib.PosixPath", "/a"), Made("collections.Counter", {})):
        message = refusal(write_zip({"a": FakeTensor(WEIGHT, shape=odd, strides=())}, WEIGHT.tobytes()))
        assert "is damaged" in message
    assert "holds one argparse.Namespace" in refusal(write_zip(Made("argparse.Namespace")))


@pytest.mark.parametrize(
    "lies",
    [
        {"offset": 1},
        {"shape": (2, 3, 2, 3)},
        {"strides": (12, 4, 2, 2)},
        {"strides": (10**18, 4, 2, 1)},
        {"shape": (10**9, 10**9), "strides": (0, 0)},
        {"shape": (0, 10**30), "strides": (1, 1)},
        {"shape": (1,) * 40, "strides": (1,) * 40},
        {"offset": 10**40},
    ],
    ids=str,
)
def test_a_tensor_outside_its_numbers(write_zip, lies):
    message = refusal(write_zip({"a": FakeTensor(WEIGHT, **lies)}, WEIGHT.tobytes()))
    assert "the tensor 'a' of shape" in message
    assert "does not lie inside its 24 numbers" in message


@pytest.mark.parametrize(
    ("lies", "wanted"),
    [
        ({"n": 10**15}, "its tensors need 4,000,000,000,000,000 bytes"),
        ({"n": 10**40}, "its tensors need "),
        ({"n": 25}, "'weights/data/0' has 96 bytes instead of 100"),
        ({"n": 23}, "'weights/data/0' has 96 bytes instead of 92"),
        ({"n": -1}, "a storage without a type, a name or a size"),
        ({"n": 24.0}, "a storage without a type, a name or a size"),
        ({"key": "../data.pkl"}, "There is no item named 'weights/data/../data.pkl'"),
        ({"kind": "load"}, "asks for 'torch.load'"),
        ({"kind": "ComplexFloatStorage"}, "asks for 'torch.ComplexFloatStorage'"),
        ({"offset": -1}, "whole numbers"),
        ({"shape": (2, -3, 2, 2)}, "whole numbers"),
        ({"shape": (2, 3.0, 2, 2)}, "whole numbers"),
        ({"strides": (12, 4, 2)}, "a stride too few"),
        ({"shape": 24}, "TypeError"),
    ],
    ids=str,
)
def test_sizes_that_lie(write_zip, lies, wanted):
    assert wanted in refusal(write_zip({"a": FakeTensor(WEIGHT, **lies)}, WEIGHT.tobytes()))


class RunsCode:
    def __reduce__(self):
        return os.system, ("touch PROOF",)


@pytest.mark.parametrize("write", ["write_zip", "write_old"])
def test_code_beside_real_weights_is_refused_and_not_run(request, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = WEIGHT.tobytes() if write == "write_zip" else WEIGHT
    for state in (
        {"a": FakeTensor(WEIGHT), "b": RunsCode()},
        {"params": {"a": FakeTensor(WEIGHT)}, "loop": [RunsCode()]},
        {"a": FakeTensor(WEIGHT, shape=RunsCode(), strides=())},
    ):
        message = refusal(request.getfixturevalue(write)(state, block))
        assert f"asks for '{os.system.__module__}.system'" in message
        assert "Nothing of it was run" in message
        assert "torch.save(model.state_dict(), 'weights.pt')" in message
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pt"]


def test_a_bare_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "weights.pt"
    file.write_bytes(pickle.dumps(RunsCode()))
    assert "Nothing of it was run" in refusal(file)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("obj", "wanted"),
    [
        ([1, 2], "holds one list, not a dict of named tensors"),
        ({"epoch": 3, "loss": 0.5}, "a dict without tensors; its entries are epoch, loss"),
        (Named("model.edsr", "EDSR"), "asks for 'model.edsr.EDSR'"),
        ({"a": Words(("module", 1, 2))}, "holds Python objects"),
    ],
)
def test_something_else_than_a_state_dict(write_zip, obj, wanted):
    assert wanted in refusal(write_zip(obj))


def test_other_files(tmp_path, write_zip, write_old):
    file = tmp_path / "other.pt"
    assert "cannot be read: No such file" in refusal(file)
    file.write_bytes(b"")
    assert "begins with b''" in refusal(file)
    file.write_bytes(b"<html>not found")
    assert "not a file that torch.save wrote: it begins with b'<htm'" in refusal(file)
    file.write_bytes(pickle.dumps([1]))
    assert "is a pickle, but not one that torch.save wrote" in refusal(file)
    np.savez(file.with_suffix(".npz"), a=WEIGHT)
    file.with_suffix(".npz").rename(file)
    assert "a zip archive of something else than tensors: a.npy" in refusal(file)
    packed = write_zip({"a": FakeTensor(WEIGHT)}, WEIGHT.tobytes(), compression=zipfile.ZIP_DEFLATED)
    assert "was packed again" in refusal(packed)
    assert "byte order is 'middle'" in refusal(write_zip({}, byteorder="middle"))
    assert "machine with another byte order" in refusal(write_old({}, little_endian=False))
    view = FakeTensor(WEIGHT)
    view.storage = (*view.storage, ("0", 0, 24))
    assert "views of storages" in refusal(write_old({"a": view}, WEIGHT))


@pytest.mark.parametrize("keys", [3, None, [[1]], ["7"], [None]])
def test_an_old_file_whose_list_of_numbers_is_damaged(write_old, keys):
    file = write_old({"a": FakeTensor(WEIGHT)}, WEIGHT)
    file.write_bytes(file.read_bytes().replace(pickled(["0"]), pickled(keys)))
    assert "is damaged or cut short" in refusal(file)


@pytest.mark.parametrize("write", ["write_zip", "write_old"])
def test_a_file_cut_short_anywhere(request, write):
    block = WEIGHT.tobytes() if write == "write_zip" else WEIGHT
    file = request.getfixturevalue(write)({"a": FakeTensor(WEIGHT)}, block)
    data = file.read_bytes()
    for n_bytes in range(len(data)):
        file.write_bytes(data[:n_bytes])
        refusal(file)


@pytest.mark.parametrize("write", ["write_zip", "write_old"])
def test_no_damage_ends_in_anything_but_one_error(request, write):
    rng = random.Random(7)
    block = WEIGHT.tobytes() if write == "write_zip" else WEIGHT
    file = request.getfixturevalue(write)({"a": FakeTensor(WEIGHT), "b": [1, "x", None]}, block)
    data = file.read_bytes()
    n_refused = 0
    for position in range(len(data)):
        file.write_bytes(data[:position] + bytes([rng.randrange(256)]) + data[position + 1 :])
        try:
            torch_file.read(file)
        except CheckpointError:
            n_refused += 1
    assert n_refused > len(data) / 4


STATE = {
    "head.weight": WEIGHT,
    "head.bias": np.float32([1, 2]),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "number": np.float32(7).reshape(()),
}


def test_what_write_wrote_is_read(tmp_path):
    torch_file.write(tmp_path / "a.pt", STATE, "größer")
    read = torch_file.read(tmp_path / "a.pt")
    assert (list(read.tensors), read.entry, read.note) == (list(STATE), "", "größer")
    for name, wanted in STATE.items():
        np.testing.assert_array_equal(read.tensors[name], wanted)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs PyTorch, to compare with what it does itself")


@pytest.mark.parametrize("mmap", [False, True])
def test_pytorch_loads_what_write_wrote(torch, tmp_path, mmap):
    torch_file.write(tmp_path / "a.pt", STATE, "{}")
    loaded = torch.load(tmp_path / "a.pt", weights_only=True, mmap=mmap)
    assert isinstance(loaded, OrderedDict)
    assert list(loaded) == list(STATE)
    for name, wanted in STATE.items():
        assert loaded[name].dtype == torch.float32
        np.testing.assert_array_equal(loaded[name].numpy(), wanted)


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_pytorch_wrote_is_read(torch, tmp_path, as_zip, protocol):
    torch.manual_seed(1)
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    state = layer.state_dict()
    state |= {
        "half": torch.randn(3).half(),
        "double": torch.randn(3).double(),
        "view": torch.randn(4, 5)[1:, ::2].T,
    }
    state |= {"parameter": torch.nn.Parameter(torch.randn(2)), "bfloat16": torch.randn(9).bfloat16()}
    whole = {"epoch": 3, "state_dict": state, "optimizer": torch.optim.Adam(layer.parameters()).state_dict()}
    torch.save(whole, tmp_path / "a.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=as_zip)
    read = torch_file.read(tmp_path / "a.pt")
    assert (list(read.tensors), read.entry) == (list(state), "state_dict")
    for name, wanted in state.items():
        wanted = wanted.detach()
        wanted = wanted.float() if name == "bfloat16" else wanted
        np.testing.assert_array_equal(read.tensors[name], wanted.numpy())


def test_a_whole_network_of_pytorch_is_refused(torch, tmp_path):
    torch.save(torch.nn.Conv2d(3, 4, 3), tmp_path / "a.pt")
    assert "asks for 'torch.nn.modules.conv.Conv2d'" in refusal(tmp_path / "a.pt")


@pytest.mark.shared_data
def test_a_real_file(shared_data):
    folder = shared_data / "weights" / "EDSR_f64b5_x2"
    read = torch_file.read(folder / "edsr_f64b5_x2.pt")
    with np.load(folder / "edsr_f64b5_x2_stdtail.npz") as wanted:
        assert list(read.tensors) == wanted.files
        for name in wanted.files:
            np.testing.assert_array_equal(read.tensors[name], wanted[name])
