"""Weights of another framework for any network: the names, the channels before a pixel shuffle, and the range.

A class may say how its Parameters are called in the files of others:

    torch_names     regular expressions of our names, and what re.sub puts in their place: text, or a function
    torch_ignored   regular expressions of tensors in the files that the network does not need
    torch_range     the values that the weights in the files were trained with: "0-1" or "0-255"
    before_shuffle  the convolutions that feed a pixel shuffle, and its factor

Layers that PyTorch names in another way than MindSpore need no rule: batch norm, PReLU and the like, and weight norm.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from srtrain.arrays import Float32
from srtrain.errors import CheckpointError, counted
from srtrain.models import MODELS
from srtrain.models.blocks import PixelShuffle
from srtrain.weights import shuffle, tensor_file
from srtrain.weights.described import network_of
from srtrain.weights.network import Network
from srtrain.weights.tensor_file import TensorFile
from srtrain.weights.value_range import check_range, convert_range

Tensors = dict[str, Float32]
Foreign = Mapping[str, NDArray[Any]]

OURS, THEIRS = "srtrain", "torch"
"""Whose names and channel order a file has, as its description says in ``names``."""

_LAYERS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm),
    nn.PReLU,
)
_LAYER_NAMES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "w": "weight",
}
_LISTED = 12


@dataclass
class Match:
    """How the tensors of a file fit a network.

    Attributes:
        scale: of the network.
        model: the network.
        wanted: the name that each Parameter should have in the file, without a prefix.
        prefix: what stands before all of these names in the file, such as ``module.``.
        tensors: those that were found, by the names of the Parameters.
        problems: a line for each Parameter and tensor that does not fit.
        unused: names of tensors that belong to something else: another prefix, counters, what the class ignores.
    """

    scale: int
    model: nn.Cell
    wanted: dict[str, str]
    prefix: str = ""
    tensors: dict[str, NDArray[Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def fit(file: TensorFile, path: Path, network: Network) -> tuple[Tensors, dict[str, Any]]:
    """Return the tensors of a file under our names, and the description of a checkpoint.

    Raises:
        UnknownNameError: there is no such network.
        CheckpointError: the network cannot be built, or the tensors do not fit it. The error lists what does not.
    """
    if network.value_range is not None:
        check_range(network.value_range)
    theirs = without_weight_norm(file.tensors)
    match, ours = _best(theirs, file, path, network)
    if match.problems:
        raise CheckpointError(_refusal(match, path, network))
    tensors = {name: np.asarray(array, np.float32, order="C") for name, array in match.tensors.items()}
    values = network.value_range or ("0-255" if ours else range_of(match.model))
    if not ours:
        tensors |= _reordered(match.model, tensors, shuffle.from_torch)
    tensors = convert_range(match.model, tensors, values, "0-255", path)
    origin: dict[str, str] = {"file": path.name, "names": "srtrain" if ours else "PyTorch", "range": values}
    if file.entry or match.prefix:
        origin["names"] += f", under {'.'.join(filter(None, (file.entry, match.prefix.rstrip('.'))))!r}"
    if match.unused:
        more = f" and {len(match.unused) - _LISTED} more" if len(match.unused) > _LISTED else ""
        origin["not used"] = ", ".join(match.unused[:_LISTED]) + more
    return tensors, {**network.about(match.scale), "origin": origin}


def write(path: Path, tensors: Mapping[str, Float32], about: Mapping[str, Any], names: str) -> None:
    """Write the weights of a network, so that reading the file again needs no further words.

    Args:
        path: ``.pt``, ``.pth``, ``.npz`` or ``.safetensors``.
        tensors: under our names, of a network for [0, 255].
        about: ``model``, ``model_args`` and ``scale``; kept beside the tensors.
        names: ``OURS`` for our names and channel order, or ``THEIRS`` for those of the authors' files.

    Raises:
        CheckpointError: the suffix is unknown, or the order of channels before a pixel shuffle is.
        SrtrainError: the file cannot be written.
    """
    found = dict(tensors)
    if names == THEIRS:
        model = network_of(about, path)
        found = convert_range(model, found, "0-255", range_of(model), path)
        found |= _reordered(model, found, shuffle.to_torch)
        found = {own: found[own] for own in model.parameters_dict()}
        wanted = torch_names(model)
        found = {wanted[own]: tensor for own, tensor in found.items()}
    tensor_file.write(path, found, {**about, "names": names})


def _reordered(model: nn.Cell, tensors: Tensors, order: Callable[[Float32, int], Float32]) -> Tensors:
    """Return the tensors of the convolutions that feed a pixel shuffle, with their channels in another order."""
    return {
        tensor: order(tensors[tensor], factor)
        for name, factor in before_shuffle(model).items()
        for tensor in (f"{name}.weight", f"{name}.bias")
        if tensor in tensors
    }


def range_of(model: nn.Cell) -> str:
    """Return the values that the weights in the files of the network's authors were trained with."""
    return str(getattr(model, "torch_range", "0-255"))


def torch_names(model: nn.Cell) -> dict[str, str]:
    """Return the name that each Parameter has in the files of the network's authors."""
    cells = dict(model.cells_and_names())
    rules: Mapping[str, Any] = getattr(model, "torch_names", {})
    names = {}
    for own in model.parameters_dict():
        parent, _, last = own.rpartition(".")
        if isinstance(cells.get(parent), _LAYERS):
            last = _LAYER_NAMES.get(last, last)
        name = f"{parent}.{last}".lstrip(".")
        for pattern, replacement in rules.items():
            name = re.sub(pattern, replacement, name)
        names[own] = name
    return names


def before_shuffle(model: nn.Cell) -> dict[str, int]:
    """Return the convolutions that feed a ``PixelShuffle``, by name, and the factor of each shuffle.

    That is the attribute ``before_shuffle`` of the network, or the convolutions that stand directly before a pixel
    shuffle in a ``SequentialCell``.

    Raises:
        CheckpointError: the network has more pixel shuffles than that, so the order of some channels is unknown.
    """
    declared = getattr(model, "before_shuffle", None)
    if declared is not None:
        return dict(declared)
    found: dict[str, int] = {}
    shuffles: list[str] = []
    for prefix, cell in model.cells_and_names():
        if isinstance(cell, PixelShuffle):
            shuffles.append(prefix)
        if isinstance(cell, nn.SequentialCell):
            for (name, first), (_, second) in pairwise(cell.name_cells().items()):
                if isinstance(first, nn.Conv2d) and isinstance(second, PixelShuffle):
                    found[f"{prefix}.{name}".lstrip(".")] = second.factor
    if len(shuffles) > len(found):
        raise CheckpointError(
            f"the network {type(model).__name__} does not say which convolutions feed its pixel shuffles "
            f"({', '.join(shuffles)}), so their channels cannot be put into our order. Set "
            f"self.before_shuffle = {{'NAME OF THE CONVOLUTION': factor}} in the class (docs/new_model.md)."
        )
    return found


def without_weight_norm(tensors: Foreign) -> dict[str, NDArray[Any]]:
    """Return tensors with the weights that PyTorch's weight norm keeps as a direction and a length."""
    found = dict(tensors)
    for ends in ((".weight_g", ".weight_v"), *((f".parametrizations.weight.original{n}" for n in (0, 1)),)):
        length_end, direction_end = ends
        for name in [name for name in found if name.endswith(direction_end)]:
            stem = name.removesuffix(direction_end)
            if f"{stem}{length_end}" not in found:
                continue
            direction = np.asarray(found.pop(name), np.float64)
            length = np.asarray(found.pop(f"{stem}{length_end}"), np.float64)
            norm = np.sqrt((direction**2).sum(tuple(range(1, direction.ndim)), keepdims=True))
            found[f"{stem}.weight"] = (length * direction / norm).astype(np.float32)
    return found


def _best(theirs: Foreign, file: TensorFile, path: Path, network: Network) -> tuple[Match, bool]:
    """Return the match at the first scale that fits, or else at the first one; and whether the names are ours."""
    first: tuple[Match, bool] | None = None
    refused: CheckpointError | None = None
    for scale in network.scales:
        try:
            model = network_of(network.about(scale), path)
        except CheckpointError as error:  # of a scale that the network does not have, for example
            refused = refused or error
            continue
        match, ours = _match_either(theirs, file, model, scale)
        first = first or (match, ours)
        if not match.problems:
            return match, ours
    if first is None:
        assert refused is not None
        raise refused
    return first


def _match_either(theirs: Foreign, file: TensorFile, model: nn.Cell, scale: int) -> tuple[Match, bool]:
    """Match the names of the authors' files, or ours; return whether they are ours.

    A file of MindSpore or of ours says that its names are ours. A network of this package that declares no names of
    others has them only in files of ours.
    """
    own = {name: name for name in model.parameters_dict()}
    wanted = torch_names(model)
    says = (file.about or {}).get("names") or {"ms": OURS, "pt": THEIRS}.get(file.writer, "")
    built_in = type(model) not in MODELS.additions().values()
    if says == OURS or (built_in and says != THEIRS and not getattr(model, "torch_names", {})):
        return _match(theirs, model, scale, own), True
    match = _match(theirs, model, scale, wanted)
    if match.problems and wanted != own:
        other = _match(theirs, model, scale, own)
        if not other.problems:
            return other, True
    return match, False


def _match(theirs: Foreign, model: nn.Cell, scale: int, wanted: dict[str, str]) -> Match:
    """Compare names and shapes, after the prefix that most names share."""
    prefix = _prefix(theirs, wanted)
    match = Match(scale, model, wanted, prefix)
    shapes = {name: tuple(p.shape) for name, p in model.parameters_dict().items()}
    for own, their in wanted.items():
        found = theirs.get(prefix + their)
        said = own if own == their else f"{own} (in files {their!r})"
        if found is None:
            match.problems.append(f"missing: {said} of shape {shapes[own]}")
        elif found.shape != shapes[own]:
            match.problems.append(
                f"of another shape: {said} is {found.shape} in the file and {shapes[own]} here"
            )
        elif not np.issubdtype(found.dtype, np.floating):
            match.problems.append(f"no fractions: {said} is of type {found.dtype}")
        else:
            match.tensors[own] = found
    used = {prefix + their for their in wanted.values()}
    ignored = getattr(model, "torch_ignored", ())
    for name in (name for name in theirs if name not in used):
        plain = name.removeprefix(prefix)
        counts = not np.issubdtype(theirs[name].dtype, np.floating)
        if not name.startswith(prefix) or counts or any(re.match(pattern, plain) for pattern in ignored):
            match.unused.append(name)
        else:
            match.problems.append(f"unknown here: {plain} of shape {theirs[name].shape}")
    return match


def _prefix(theirs: Foreign, wanted: Mapping[str, str]) -> str:
    """Return what stands before most of the names; of two copies, that of the averaged weights."""
    names = set(wanted.values())
    counts: Counter[str] = Counter()
    for name in theirs:
        parts = name.split(".")
        for first in range(len(parts)):
            if ".".join(parts[first:]) in names:
                counts["".join(f"{part}." for part in parts[:first])] += 1
    return max(counts, key=lambda prefix: (counts[prefix], "ema" in prefix, -len(prefix)), default="")


def _refusal(match: Match, path: Path, network: Network) -> str:
    lines = match.problems[:_LISTED]
    more = len(match.problems) - len(lines)
    known = ", ".join(f"{key}={value!r}" for key, value in network.model_args.items())
    return "\n".join(
        [
            f"{str(path)!r} does not fit the network {network.model} x{match.scale}{f' ({known})' if known else ''}: "
            f"{counted(len(match.tensors), 'Parameter')} of {len(match.wanted)} match, and these do not:",
            *(f"  {line}" for line in lines),
            *([f"  … and {more} more"] if more else []),
            "Give the arguments that the weights were trained with (--model-args, or model.… in a recipe), or let the "
            "class declare torch_names (docs/new_model.md).",
        ]
    )
