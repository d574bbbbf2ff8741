"""The reader of pickles: it reads what Python's pickler writes, and never runs anything that a pickle names."""

import argparse
import io
import os
import pickle
import pickletools
import struct
from collections import Counter, OrderedDict, defaultdict
from datetime import timedelta
from pathlib import PurePosixPath

import numpy as np
import pytest

from srtrain.weights.torch_pickle import Opaque, Storage, Tensor, UnreadableError, dump, load


def loads(data):
    return load(io.BytesIO(data))


PLAIN = {
    "numbers": [0, -1, 255, 65535, 2**31, -(2**70), 1.5, True, False, None],
    "text": ("", "head.0.weight", "größer", "x" * 300),
    "nested": {"a": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], 7: {}},
    "ordered": OrderedDict([("b", 1), ("a", 2)]),
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back_as_they_were(protocol):
    assert loads(pickle.dumps(PLAIN, protocol)) == PLAIN


def test_shared_values_stay_shared():
    shared = ["x"]
    first, second = loads(pickle.dumps([shared, shared]))
    assert first == ["x"]
    assert first is second


def test_the_stream_stands_behind_the_pickle():
    stream = io.BytesIO(pickle.dumps(1) + pickle.dumps("two") + b"rest")
    assert [load(stream), load(stream)] == [1, "two"]
    assert stream.read() == b"rest"


def test_attributes_of_a_dict_are_dropped():
    state = OrderedDict(a=1)
    state._metadata = OrderedDict(version=1)
    assert loads(pickle.dumps(state, 2)) == {"a": 1}


class Call:
    def __init__(self, function, *arguments):
        self.how = (function, arguments)

    def __reduce__(self):
        return self.how


class HasState:
    pass


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (Call(os.system, "touch PROOF"), r"(posix|nt)\.system"),
        (Call(eval, "open('PROOF', 'w')"), r"(builtins|__builtin__)\.eval"),
        (Call(exec, "open('PROOF', 'w')"), r"(builtins|__builtin__)\.exec"),
        (Call(getattr, (), "__class__"), r"(builtins|__builtin__)\.getattr"),
        (Call(OrderedDict.fromkeys, ["a"]), r"(builtins|__builtin__)\.getattr|OrderedDict\.fromkeys"),
        (np.arange(3), r"numpy\.core\.multiarray\._reconstruct"),
        (np.float32(3), r"numpy\.core\.multiarray\.scalar"),
        (HasState(), r"copy_reg\._reconstructor|copyreg\._reconstructor|HasState"),
        (os.system, r"(posix|nt)\.system"),
    ],
)
def test_code_is_refused_by_name_and_not_run(payload, name, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in (payload, {"a": [payload]}, OrderedDict(a=payload)):
        data = pickle.dumps(value, protocol)
        with pytest.raises(UnreadableError, match=rf"asks for '.*({name}).*'.*Nothing of it was run"):
            loads(data)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("protocol", [2, 4])
def test_harmless_objects_are_skipped(protocol):
    args = argparse.Namespace(lr=1e-4, root=PurePosixPath("/data"))
    found = loads(pickle.dumps({"args": args, "n": Counter("aab"), "t": timedelta(3), "end": 7}, protocol))
    assert found == {"args": Opaque("argparse.Namespace"), "n": Opaque("collections.Counter"),
                     "t": Opaque("datetime.timedelta"), "end": 7}  # fmt: skip


@pytest.mark.parametrize("function", [os.system, eval])
@pytest.mark.parametrize("protocol", [2, 4])
def test_code_inside_a_harmless_object_is_refused(function, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in (
        argparse.Namespace(a=Call(function, "touch PROOF")),
        defaultdict(function),
        Counter([function]),
    ):
        with pytest.raises(UnreadableError, match=r"asks for '.*(system|eval)'.*Nothing of it was run"):
            loads(pickle.dumps(value, protocol))
    assert not list(tmp_path.iterdir())


def short(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04" + short("collections") + short("OrderedDict.__init__.__globals__") + b"\x93.",
        b"\x80\x04" + short("torch") + short("_utils._rebuild_tensor_v2.__globals__") + b"\x93.",
        b"ccollections\nOrderedDict.fromkeys\n.",
        b"ctorch\nload\n.",
        b"ctorch.storage\n_load_from_bytes\n.",
    ],
    ids=["globals of a method", "globals of a function", "class method", "torch.load", "pickle in a pickle"],
)
def test_a_name_inside_an_allowed_one_is_refused(data):
    with pytest.raises(UnreadableError, match="asks for"):
        loads(data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("INST", b"(S'true'\nios\nsystem\n."),
        ("OBJ", b"(ccollections\nOrderedDict\no."),
        ("NEWOBJ", b"\x80\x02ccollections\nOrderedDict\n)\x81."),
        ("EXT1", b"\x80\x02\x82\x01."),
        ("PERSID", b"Pmodule\n."),
        ("EMPTY_SET", b"\x80\x04\x8f."),
    ],
)
def test_other_instructions_are_refused_by_name(name, data):
    with pytest.raises(UnreadableError, match=f"not only tensors.*instruction {name}"):
        loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"K\x01",
        b"t.",
        b"h\x05.",
        b"K\x01K\x02K\x03R.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",  # calls a storage
        b"}]K\x01s.",  # a key that is a list
        b"\x8d" + struct.pack("<Q", 2**62) + b"x.",  # text of four exabytes
        b"\x8b" + struct.pack("<i", 2**30) + b"1.",  # a number of a gigabyte
        b"(K\x01K\x02e.",
        b"(K\x01u.",
    ],
)
def test_nonsense_is_damage(data):
    with pytest.raises(UnreadableError, match=r"damaged|cut short"):
        loads(data)


def test_a_high_memo_number_and_deep_nesting_cost_nothing():
    assert loads(b"K\x07r" + struct.pack("<I", 2**32 - 1) + b".") == 7
    assert isinstance(loads(b"]" + b"\x85" * 100_000 + b"."), tuple)


@pytest.mark.slow
def test_a_deeply_nested_key_is_refused_before_it_is_hashed():
    with pytest.raises(UnreadableError, match="a key that is neither text nor a whole number"):
        loads(b"})" + b"\x85" * 1_000_000 + b"K\x01s.")  # Python's hash of it would overflow the C stack


STATE = {"head.weight": (2, 3, 1, 2), "head.bias": (2,), "größer": (200, 1, 70_000)}


def test_what_dump_writes_is_read():
    state = loads(dump(STATE))
    assert state["head.weight"] == Tensor(
        Storage("0", "torch.FloatStorage", 12), 0, (2, 3, 1, 2), (6, 2, 2, 1)
    )
    assert list(state) == list(STATE)
    assert state["größer"].storage.n == 14_000_000


def test_pythons_own_unpickler_finds_in_a_dump_the_calls_that_pytorch_makes():
    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if name == "OrderedDict":
                return OrderedDict
            return lambda *arguments: (f"{module}.{name}", arguments)

        def persistent_load(self, words):
            kind, storage, *rest = words
            return (kind, storage()[0], *rest)

    state = Reader(io.BytesIO(dump({"a": (2, 3)}))).load()
    storage = ("storage", "torch.FloatStorage", "0", "cpu", 6)
    arguments = (storage, 0, (2, 3), (3, 1), False, OrderedDict())
    assert state == OrderedDict(a=("torch._utils._rebuild_tensor_v2", arguments))


def test_the_bytes_of_a_dump():
    names = [opcode.name for opcode, _, _ in pickletools.genops(dump({"a": (1,)}))]
    storage = "MARK BINUNICODE GLOBAL BINUNICODE BINUNICODE BININT TUPLE BINPERSID"
    call = (
        f"GLOBAL MARK {storage} BININT MARK BININT TUPLE MARK BININT TUPLE NEWFALSE GLOBAL EMPTY_TUPLE REDUCE"
    )
    assert " ".join(names) == (
        f"PROTO GLOBAL EMPTY_TUPLE REDUCE MARK BINUNICODE {call} TUPLE REDUCE SETITEMS STOP"
    )
    assert dump({}) == b"\x80\x02ccollections\nOrderedDict\n)R(u."
