"""Named tensors in files of other frameworks: .pt and .pth, .npz, .safetensors. The suffix says which."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from srtrain.errors import CheckpointError, MachineError, SrtrainError, did_you_mean
from srtrain.files import lack_of_space, whole_file
from srtrain.files.archive import bomb_in
from srtrain.files.json_file import Whole, checked, fault_of, reason_of
from srtrain.weights import SUFFIXES, torch_file

_FLOATS = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "bfloat16"}  # of safetensors; NumPy lacks the last
_deserialize: Callable[[bytes], Iterable[tuple[str, dict[str, Any]]]] = (
    safetensors.deserialize
)  # comes untyped
_ABOUT = {
    "model?": str,
    "model_args?": dict,
    "scale?": Whole(1, 64),
    "origin?": dict,
    "recipe_hash?": str,
    "names?": str,
    "plugins?": [str],
}
_NPY_START = b"\x93NUMPY"
_NOTE = "srtrain"  # the name of what we say about the tensors, beside them


@dataclass(frozen=True)
class TensorFile:
    """What such a file holds.

    Attributes:
        tensors: of the types they have in the file.
        entry: the entry of a PyTorch checkpoint that held them, such as ``params_ema``, or ``""``.
        about: the description that ``write`` put beside them; None in files of other programs.
        writer: the library that wrote a safetensors file, as the file says: ``pt``, ``ms``, or ``""``.
    """

    tensors: dict[str, NDArray[Any]]
    entry: str
    about: dict[str, Any] | None
    writer: str = ""


def read(path: Path) -> TensorFile:
    """Read a file; nothing in it is run.

    Raises:
        CheckpointError: it is missing, damaged, or not of the format that its suffix says.
    """
    if path.suffix != ".ckpt":  # of Lightning, which is a file of PyTorch
        check_suffix(path)
    if not path.is_file():
        raise CheckpointError(f"there is no file {str(path)!r}.")
    entry = writer = ""
    if path.suffix == ".npz":
        tensors, note = _read_npz(path)
    elif path.suffix == ".safetensors":
        tensors, note, writer = _read_safetensors(path)
    else:
        found = torch_file.read(path)
        tensors, entry, note = found.tensors, found.entry, found.note
    return TensorFile(tensors, entry, None if note is None else _parse(note, path), writer)


def write(path: Path, tensors: Mapping[str, NDArray[np.float32]], about: Mapping[str, Any]) -> None:
    """Write a file completely or not at all.

    Args:
        path: its suffix says which format.
        tensors: float32.
        about: JSON values, kept beside the tensors where other programs ignore them.

    Raises:
        CheckpointError: an unknown suffix.
        SrtrainError: the disk is full or not writable.
    """
    check_suffix(path)
    note = json.dumps(about)
    tensors = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    try:
        if problem := lack_of_space(path.parent, sum(tensor.nbytes for tensor in tensors.values())):
            raise MachineError(f"{str(path)!r} cannot be written: {problem}.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            if path.suffix == ".npz":
                np.savez(part, **{_NOTE: np.array(note)}, **tensors)
            elif path.suffix == ".safetensors":
                safetensors.numpy.save_file(tensors, part, metadata={_NOTE: note})
            else:
                torch_file.write(part, tensors, note)
    except (OSError, safetensors.SafetensorError) as error:
        raise SrtrainError(f"{str(path)!r} cannot be written: {error}.") from error


def check_suffix(path: Path) -> None:
    """Refuse an unknown suffix.

    Raises:
        CheckpointError: names those that are known.
    """
    if path.suffix not in SUFFIXES:
        raise CheckpointError(
            f"{str(path)!r} ends in {path.suffix!r}.{did_you_mean(path.suffix, SUFFIXES)} Known: {', '.join(SUFFIXES)}."
        )


def _read_npz(path: Path) -> tuple[dict[str, NDArray[Any]], str | None]:
    try:
        with path.open("rb") as file:
            if file.read(len(_NPY_START)) == _NPY_START:
                raise ValueError("it is an .npy file, which holds one array without a name")
        with zipfile.ZipFile(path) as members:  # looked at first, because np.load reads whatever is there
            if problem := bomb_in(members):
                raise ValueError(problem)
            if odd := [name for name in members.namelist() if not re.fullmatch(r".+\.npy", name, re.DOTALL)]:
                raise ValueError(f"it holds {odd[0][:60]!r}, which is no name of an array")
        with np.load(path, allow_pickle=False) as archive:
            tensors = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile and NumPy raise errors of many types for damaged files
        raise _damaged(path, "an .npz file of plain numbers", error) from error
    note = tensors.pop(_NOTE, None)
    return tensors, None if note is None else str(note)


def _read_safetensors(path: Path) -> tuple[dict[str, NDArray[Any]], str | None, str]:
    tensors = {}
    try:
        with safetensors.safe_open(path, framework="np") as file:
            facts_of_file = file.metadata() or {}
        for name, facts in _deserialize(path.read_bytes()):
            if facts["dtype"] not in _FLOATS:
                raise ValueError(f"{name!r} is of type {facts['dtype']}")
            flat = torch_file.decode(bytes(facts["data"]), _FLOATS[facts["dtype"]], "<")
            tensors[name] = flat.reshape(facts["shape"])
    except Exception as error:  # of many types for damaged files
        raise _damaged(path, f"a .safetensors file of {', '.join(_FLOATS)}", error) from error
    return tensors, facts_of_file.get(_NOTE), facts_of_file.get("format", "")


def _damaged(path: Path, wanted: str, error: BaseException) -> CheckpointError:
    reason = reason_of(error)
    return CheckpointError(f"{str(path)!r} is not {wanted}, or it is cut short: {reason}.")


def _parse(note: str, path: Path) -> dict[str, Any]:
    try:
        value = checked(note, object)
    except ValueError as error:
        raise CheckpointError(
            f"what srtrain wrote beside the tensors of {str(path)!r} is damaged: {reason_of(error)}."
        ) from error
    if fault := fault_of(value, _ABOUT):
        raise CheckpointError(
            f"what is written under {_NOTE!r} beside the tensors of {str(path)!r} is not what srtrain writes: {fault}."
        )
    about: dict[str, Any] = value
    return about
