"""Read and write the part of Python's pickle format that a PyTorch state dict needs, without running anything.

A pickle is a program for a small stack machine, and ``pickle.load`` lets it call any function of any module. The
machine here has no such instruction. A name in the pickle stays a name, and only the names in ``CALLS``, ``STORAGES``
and ``OPAQUE`` are accepted. The result consists of dicts, lists, tuples, numbers, text, ``Opaque`` and ``Tensor``,
which says where the numbers of a tensor lie.

``pickle.Unpickler`` with its own ``find_class`` and ``persistent_load`` cannot replace this machine. It runs no code
either, but these hostile files still harm the process (CPython 3.11):

- A memo number of 10^8 in a file of 8 bytes takes 1.5 GB, and 2^32 - 1 asks for 64 GB.
- A key of a dict that is a tuple nested a million deep ends the process with a segmentation fault: Python hashes it
  before any code here could refuse it.
- INST, OBJ, NEWOBJ, EXT1, PERSID and EMPTY_SET are executed or reported without their name.
"""

from __future__ import annotations

import pickle
import pickletools
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

RESAVE = (
    "Where PyTorch is installed, and if you trust the file, save its tensors alone: "
    "torch.save(model.state_dict(), 'weights.pt')."
)


class UnreadableError(Exception):
    """Why a file is refused, to go behind the file's name; ``torch_file`` makes a CheckpointError of it."""


@dataclass(frozen=True)
class Storage:
    """A block of numbers: the name of its record, the name of its type in ``torch``, how many numbers."""

    key: str
    kind: str
    n: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides are in numbers, not bytes, and nobody has checked them yet."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Opaque:
    """What stands for an object of a class in ``OPAQUE``: its name, and nothing of its content."""

    full: str


@dataclass(frozen=True)
class _Name:
    """What stands for a function or class that a pickle names."""

    full: str


STORAGES = {
    f"torch.{kind}Storage": code
    for kind, code in {
        "Float": "f4",
        "Double": "f8",
        "Half": "f2",
        "BFloat16": "bfloat16",
        "Long": "i8",
        "Int": "i4",
        "Short": "i2",
        "Char": "i1",
        "Byte": "u1",
        "Bool": "?",
    }.items()
}
"""NumPy's codes of the types of numbers; NumPy has none for bfloat16."""


def _ordered_dict(pairs: Sequence[Sequence[Any]] = ()) -> dict[Any, Any]:
    return {_key(key): value for key, value in pairs}


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    sizes = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or len(shape) != len(strides):
        raise ValueError("a tensor without a storage, or with a stride too few or too many")
    if any(type(size) is not int or size < 0 for size in sizes):
        raise ValueError("a tensor whose sizes are not whole numbers")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor: Any, *_: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise ValueError("a parameter without a tensor")
    return tensor


CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,  # before PyTorch 0.4
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
}
"""The functions a state dict calls, by what is done in their place."""

OPAQUE = frozenset(
    (
        *(
            f"pathlib.{kind}"
            for kind in ("Path", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
        ),
        *(f"pathlib._local.{kind}" for kind in ("Path", "PosixPath", "PurePosixPath", "WindowsPath")),
        *(f"{module}.{kind}" for module in ("builtins", "__builtin__") for kind in ("set", "frozenset")),
        *(
            f"{module}.{kind}"
            for module in ("builtins", "__builtin__")
            for kind in ("dict", "list", "int", "float")
        ),
        *(f"collections.{kind}" for kind in ("Counter", "defaultdict", "deque")),
        *(f"datetime.{kind}" for kind in ("date", "datetime", "timedelta")),
        *(
            f"torch.{kind}"
            for kind in ("Size", "device", "float16", "bfloat16", "float32", "float64", "int64")
        ),
        "argparse.Namespace",
        "_codecs.encode",  # how protocol 2 writes bytes
        "lightning.fabric.utilities.data.AttributeDict",
        "lightning.pytorch.utilities.parsing.AttributeDict",
        "lightning_fabric.utilities.data.AttributeDict",
        "pytorch_lightning.utilities.parsing.AttributeDict",
    )
)
"""Classes of the notes that training programs put beside the tensors, such as settings. No object of them is made."""

_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_TEXTS = (
    "UNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE",
    "BINUNICODE8",
    "STRING",
    "SHORT_BINSTRING",
    "BINSTRING",
)
_BYTES = ("SHORT_BINBYTES", "BINBYTES", "BINBYTES8")
_LITERALS = frozenset((*_NUMBERS, *_TEXTS, *_BYTES))
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED = frozenset(("PROTO", "FRAME"))
_TO_MEMO = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"))
_FROM_MEMO = frozenset(("GET", "BINGET", "LONG_BINGET"))
_SINCE_MARK = frozenset(("TUPLE", "LIST", "DICT", "APPENDS", "SETITEMS"))


def load(stream: BinaryIO, storages: dict[str, Storage] | None = None) -> Any:
    """Read one pickle and leave the stream behind it.

    Args:
        stream: at the first byte of the pickle.
        storages: gets every storage that the pickle mentions, by its key.

    Raises:
        UnreadableError: it names something else than tensors, or is damaged.
    """
    machine = _Machine({} if storages is None else storages)
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        struct.error,
        OverflowError,
    ) as error:
        raise UnreadableError(
            f"is damaged or cut short: {type(error).__name__} ({error}) in its pickle."
        ) from error
    raise UnreadableError("is cut short: its pickle has no end.")


class _Machine:
    """The stack; each MARK of the pickle begins a list of its own on top of it."""

    def __init__(self, storages: dict[str, Storage]) -> None:
        self._storages = storages
        self._stacks: list[list[Any]] = [[]]
        self._memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self._stacks[-1].append(value)

    def pop(self) -> Any:
        return self._stacks[-1].pop()

    def step(self, name: str, argument: Any) -> None:
        """Do one instruction."""
        if name in _LITERALS:
            self.push(argument)
        elif name in _CONSTANTS:
            self.push(_CONSTANTS[name]())
        elif name in _TUPLES:
            self.push(tuple(reversed([self.pop() for _ in range(_TUPLES[name])])))
        elif name in _TO_MEMO:
            self._memo[len(self._memo) if argument is None else argument] = self._stacks[-1][-1]
        elif name in _FROM_MEMO:
            self.push(self._memo[argument])
        elif name == "MARK":
            self._stacks.append([])
        elif name in _SINCE_MARK:
            self._collect(name, self._stacks.pop())
        elif name in ("APPEND", "SETITEM"):
            items = [self.pop()] if name == "APPEND" else [self.pop(), self.pop()][::-1]
            self._collect(f"{name}S", items)
        elif name == "GLOBAL":
            self.push(_name(argument.replace(" ", ".", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            self.push(_name(f"{module}.{attribute}"))
        elif name == "REDUCE":
            arguments, function = self.pop(), self.pop()
            self.push(Opaque(function.full) if function.full in OPAQUE else CALLS[function.full](*arguments))
        elif (
            name == "NEWOBJ"
            and isinstance(self._stacks[-1][-2], _Name)
            and self._stacks[-1][-2].full in OPAQUE
        ):
            self.pop()
            self.push(Opaque(self.pop().full))
        elif name == "BINPERSID":
            storage = _storage(self.pop())
            self._storages[storage.key] = storage
            self.push(storage)
        elif name == "BUILD":  # attributes of the dict itself, such as PyTorch's _metadata
            self.pop()
        elif name not in _IGNORED:
            raise UnreadableError(
                f"holds Python objects, not only tensors (pickle instruction {name}). {RESAVE}"
            )

    def _collect(self, name: str, items: list[Any]) -> None:
        """Put items into the list or dict under them, or make a new one."""
        if name in ("APPENDS", "SETITEMS") and isinstance(self._stacks[-1][-1], Opaque):
            return
        if name == "TUPLE":
            self.push(tuple(items))
        elif name == "LIST":
            self.push(items)
        elif name == "APPENDS":
            self._stacks[-1][-1].extend(items)
        else:
            pairs = {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}
            if name == "DICT":
                self.push(pairs)
            else:
                self._stacks[-1][-1].update(pairs)


def _name(full: str) -> _Name:
    """Let a name in, if it is one of the few."""
    if full not in CALLS and full not in STORAGES and full not in OPAQUE:
        raise UnreadableError(
            f"asks for {full!r}, which no file of plain tensors needs. Nothing of it was run. {RESAVE}"
        )
    return _Name(full)


def _key(key: Any) -> str | int:
    """Return a key of a dict: text, or a number as in an optimizer's state."""
    if not isinstance(key, (str, int)):
        raise ValueError("a key that is neither text nor a whole number")
    return key


def _storage(words: Any) -> Storage:
    """Read what a pickle says of a storage: ``("storage", type, key, device, n)``, and a view in old files."""
    if not isinstance(words, tuple) or words[:1] != ("storage",):
        raise UnreadableError(f"holds Python objects, not only tensors. {RESAVE}")
    _, kind, key, _, n, *view = words
    if kind.full not in STORAGES or not isinstance(key, str) or type(n) is not int or n < 0:
        raise ValueError("a storage without a type, a name or a size")
    if any(part is not None for part in view):
        raise UnreadableError(f"holds views of storages, as PyTorch wrote them before 0.4. {RESAVE}")
    return Storage(key, kind.full, n)


def dump(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """Return the pickle of a state dict of contiguous float32 tensors, the n-th in storage ``"n"``."""
    ordered_dict = _global("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    parts = [pickle.PROTO + b"\x02", ordered_dict, pickle.MARK]
    for index, (name, shape) in enumerate(shapes.items()):
        strides: list[int] = []
        n = 1
        for size in reversed(shape):
            strides.insert(0, n)
            n *= size
        storage = [
            _text("storage"),
            _global("torch", "FloatStorage"),
            _text(str(index)),
            _text("cpu"),
            _int(n),
        ]
        parts += [_text(name), _global("torch._utils", "_rebuild_tensor_v2"), pickle.MARK]
        parts += [_tuple(storage), pickle.BINPERSID, _int(0)]
        parts += [_tuple(map(_int, shape)), _tuple(map(_int, strides))]
        parts += [
            pickle.NEWFALSE,
            ordered_dict,
            pickle.TUPLE,
            pickle.REDUCE,
        ]  # needs no gradient, has no hooks
    return b"".join([*parts, pickle.SETITEMS, pickle.STOP])


def _global(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    data = text.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(data)) + data


def _int(number: int) -> bytes:
    return pickle.BININT + struct.pack("<i", number)


def _tuple(items: Any) -> bytes:
    return pickle.MARK + b"".join(items) + pickle.TUPLE
