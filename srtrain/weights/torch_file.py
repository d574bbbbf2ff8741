"""Read and write PyTorch's files of tensors (.pt, .pth) without PyTorch, and run nothing from them.

Since PyTorch 1.6 such a file is a zip archive:

    <any name>/data.pkl       a pickle of a dict: names, and where each tensor lies (torch_pickle.py)
    <any name>/data/0, 1, …   the numbers, as they lie in memory
    <any name>/byteorder      little or big; little where it is missing

Older versions wrote five pickles one after another, followed by the numbers. EDSR-PyTorch's own weights are such
files.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srtrain.errors import CheckpointError, listing
from srtrain.weights import torch_pickle
from srtrain.weights.torch_pickle import RESAVE, STORAGES, Opaque, Storage, Tensor, UnreadableError

ENTRIES = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net", "network")
"""Usual entries of the state dict in a checkpoint; the first found is used. BasicSR evaluates its averages."""

_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of an old file holds this number
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_NOTE = "srtrain.json"  # a record of ours, which PyTorch does not look at
_DAMAGED = (
    *(zipfile.BadZipFile, EOFError, KeyError, struct.error, RuntimeError),
    *(
        ValueError,
        TypeError,
        OverflowError,
        MemoryError,
    ),  # what a pickle says of itself has other types or sizes
)


@dataclass(frozen=True)
class StateDict:
    """Named tensors, with the types that they have in the file.

    Attributes:
        tensors: read-only arrays.
        entry: the one of ``ENTRIES`` they were under, or ``""``.
        note: the text that ``write`` put beside them, or None.
    """

    tensors: dict[str, NDArray[Any]]
    entry: str = ""
    note: str | None = None


def read(path: Path) -> StateDict:
    """Read a state dict, alone or in a checkpoint.

    Raises:
        CheckpointError: it is not such a file, is damaged, or contains more than tensors.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start == _ZIP:
            return _read_zip(path)
        if start[:1] == _PICKLE:
            return _read_old(path)
        raise UnreadableError(f"is not a file that torch.save wrote: it begins with {start!r}. {RESAVE}")
    except UnreadableError as error:
        raise CheckpointError(f"{str(path)!r} {error}") from error
    except _DAMAGED as error:
        raise CheckpointError(
            f"{str(path)!r} is damaged or cut short: {error}. Download or copy it again."
        ) from error
    except OSError as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from error


def _read_zip(path: Path) -> StateDict:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        folders = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl")]
        if len(folders) != 1:
            raise UnreadableError(f"is a zip archive of something else than tensors: {listing(names, 5)}.")
        folder = folders[0]

        def record(name: str, n_bytes: int | None = None) -> bytes:
            info = archive.getinfo(folder + name)
            if info.compress_type != zipfile.ZIP_STORED:
                raise UnreadableError(
                    f"was packed again by other means: PyTorch does not compress {info.filename!r}."
                )
            if n_bytes not in (None, info.file_size):
                raise UnreadableError(
                    f"is damaged: its record {info.filename!r} has {info.file_size} bytes instead of {n_bytes}."
                )
            return archive.read(info)

        byteorder = record("byteorder").decode().strip() if f"{folder}byteorder" in names else "little"
        if byteorder not in ("little", "big"):
            raise UnreadableError(f"says its byte order is {byteorder!r}; 'little' and 'big' are known.")
        tensors, entry = _find(torch_pickle.load(io.BytesIO(record("data.pkl"))))
        _check_size(tensors.values(), path)
        arrays = _arrays(
            tensors,
            lambda storage: record(f"data/{storage.key}", _n_bytes(storage)),
            "<" if byteorder == "little" else ">",
        )
        return StateDict(arrays, entry, record(_NOTE).decode() if folder + _NOTE in names else None)


def _read_old(path: Path) -> StateDict:
    """Read the five pickles: a magic number, a version, facts of the machine, the object, its storages' keys."""
    stream = io.BytesIO(path.read_bytes())
    if torch_pickle.load(stream) != _MAGIC:
        raise UnreadableError(f"is a pickle, but not one that torch.save wrote. {RESAVE}")
    torch_pickle.load(stream)
    machine = torch_pickle.load(stream)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise UnreadableError(f"is from a machine with another byte order. {RESAVE}")
    storages: dict[str, Storage] = {}
    tensors, entry = _find(torch_pickle.load(stream, storages))
    _check_size(tensors.values(), path)
    blocks: dict[str, bytes] = {}
    for key in torch_pickle.load(stream):
        (n,) = struct.unpack("<q", stream.read(8))
        if storages[key].n != n:
            raise UnreadableError(f"is damaged: it has {n} numbers where its tensors say {storages[key].n}.")
        blocks[key] = stream.read(_n_bytes(storages[key]))
        if len(blocks[key]) != _n_bytes(storages[key]):
            raise EOFError("it ends in the middle of its numbers")
    return StateDict(_arrays(tensors, lambda storage: blocks[storage.key], "<"), entry)


def _find(root: Any) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a state dict, and the entry of the checkpoint it was under, such as ``net.params``.

    It may be the root, an entry, or an entry of an entry. Usual names come first. Under other names, there must be one.
    """
    if not isinstance(root, dict):
        kind = root.full if isinstance(root, Opaque) else type(root).__name__.lower()
        raise UnreadableError(f"holds one {kind}, not a dict of named tensors. {RESAVE}")
    inner = _dicts(root)
    deeper = {
        f"{outer}.{key}": value for outer, entries in inner.items() for key, value in _dicts(entries).items()
    }
    found = {
        entry: tensors for entry, value in {**inner, **deeper}.items() if (tensors := _tensors_of(value))
    }
    usual = sorted(filter(_rank, found), key=_rank)
    if usual:
        return found[usual[0]], usual[0]
    if tensors := _tensors_of(root):
        return tensors, ""
    if len(found) == 1:
        return next(iter(found.values())), next(iter(found))
    if found:
        raise UnreadableError(
            f"holds tensors under {listing(found, 8)}, and none of these names is usual for a network. Save those of "
            f"the network alone: torch.save(checkpoint[NAME], 'weights.pt')."
        )
    raise UnreadableError(
        f"holds a dict without tensors; its entries are {listing(map(str, root), 8)}. A state dict is looked for "
        f"there, under {listing(ENTRIES)}, and one level deeper."
    )


def _dicts(entries: Mapping[Any, Any]) -> dict[str, Mapping[Any, Any]]:
    """Return the entries that are dicts; those of optimizers have moments and no network."""
    named = {str(key): value for key, value in entries.items() if isinstance(value, dict)}
    return {key: value for key, value in named.items() if not key.startswith("optim")}


def _tensors_of(entries: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {name: t for name, t in entries.items() if isinstance(name, str) and isinstance(t, Tensor)}


def _rank(entry: str) -> list[int]:
    """Return by what entries are sorted, the best first; an empty list if no part of the entry has a usual name."""
    parts = entry.split(".")
    known = [ENTRIES.index(part) for part in reversed(parts) if part in ENTRIES]
    return [len(parts), *known] if known else []


def _n_bytes(storage: Storage) -> int:
    code = STORAGES[storage.kind]
    return storage.n * (2 if code == "bfloat16" else np.dtype(code).itemsize)


def _check_size(tensors: Iterable[Tensor], path: Path) -> None:
    """Refuse tensors that are larger than the file, before memory is allocated."""
    n_bytes = sum(map(_n_bytes, {tensor.storage for tensor in tensors}))
    if n_bytes > path.stat().st_size:
        raise UnreadableError(
            f"is damaged or cut short: its tensors need {n_bytes:,} bytes and it has fewer."
        )


def _arrays(
    tensors: Mapping[str, Tensor], numbers: Callable[[Storage], bytes], order: str
) -> dict[str, NDArray[Any]]:
    flat: dict[Storage, NDArray[Any]] = {}
    arrays = {}
    for name, tensor in tensors.items():
        storage = tensor.storage
        if storage not in flat:
            flat[storage] = decode(numbers(storage), STORAGES[storage.kind], order)
        arrays[name] = _view(flat[storage], name, tensor)
    return arrays


def decode(data: bytes, code: str, order: str) -> NDArray[Any]:
    """Return numbers of a type of NumPy's, or of bfloat16 as float32; ``order`` is ``<`` or ``>``."""
    if code == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(data, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, order + code)


def _view(flat: NDArray[Any], name: str, tensor: Tensor) -> NDArray[Any]:
    """Return one tensor of a storage, after checking that it lies inside the storage."""
    strides = [stride if size > 1 else 0 for size, stride in zip(tensor.shape, tensor.strides, strict=True)]
    last = tensor.offset + sum(
        (size - 1) * stride for size, stride in zip(tensor.shape, strides, strict=True)
    )
    if math.prod(tensor.shape) > len(flat) or 0 in tensor.shape or last >= len(flat) or len(strides) > 8:
        raise UnreadableError(
            f"is damaged: the tensor {name!r} of shape {tensor.shape}, strides {tensor.strides} and offset "
            f"{tensor.offset} does not lie inside its {len(flat)} numbers."
        )
    return np.lib.stride_tricks.as_strided(
        flat[tensor.offset :], tensor.shape, [stride * flat.itemsize for stride in strides], writeable=False
    )


def write(path: Path, tensors: Mapping[str, NDArray[np.float32]], note: str) -> None:
    """Write float32 tensors so that ``torch.load(path, weights_only=True)`` returns them.

    ``note`` is text that ``read`` returns and PyTorch ignores.

    Raises:
        OSError: the disk is full or not writable.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        pickled = torch_pickle.dump({name: array.shape for name, array in tensors.items()})
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
        archive.writestr(f"archive/{_NOTE}", note)
        for index, array in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{index}", np.ascontiguousarray(array, "<f4").tobytes())
