"""Convert EDSR from and to the files of EDSR-PyTorch and BasicSR: names, channel order, and the mean as a layer.

    ours                    EDSR-PyTorch         BasicSR
    head                    head.0               conv_first
    body.N.conv1, conv2     body.N.body.0, 2     body.N.conv1, conv2
    body_end                body.<blocks>        conv_after_body
    upsampler.0, 2          tail.0.0, 2          upsample.0, 2
    tail                    tail.1               conv_last
    rgb_mean (argument)     sub_mean, add_mean   (not in the file)

The channels of the convolutions before a pixel shuffle are reordered (shuffle.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srtrain.errors import CheckpointError
from srtrain.metrics.colour import brightness
from srtrain.weights import edsr_names, tensor_file
from srtrain.weights.edsr_names import Tensors
from srtrain.weights.shuffle import from_torch, to_torch
from srtrain.weights.tensor_file import TensorFile

BASICSR_MEAN = (0.4488, 0.4371, 0.4040)
"""The default mean of BasicSR's EDSR, which is not in its files."""

_UPSAMPLERS = {"EDSR-PyTorch": "tail.0.", "BasicSR": "upsample."}
_PREFIXES = re.compile(
    r"(module|model|_orig_mod|net|net_g|netG|network|generator|params|params_ema|ema|ema_model|model_ema)\."
)  # of DataParallel, torch.compile, and classes and dicts around a network


def read(path: Path, res_scale: float | None = None) -> tuple[Tensors, dict[str, Any]]:
    """Read a file and detect its network; see ``convert``."""
    return convert(tensor_file.read(path), path, res_scale)


def is_edsr(file: TensorFile) -> bool:
    """Return whether the names are those of EDSR-PyTorch or of BasicSR's EDSR."""
    names = _without_prefixes(file.tensors)
    body = any(re.match(r"body\.\d+\.(body\.0|conv1)\.weight$", name) for name in names)
    tails = [start for start in _UPSAMPLERS.values() if any(name.startswith(start) for name in names)]
    return body and bool(tails) and ("head.0.weight" in names or "conv_after_body.weight" in names)


def convert(file: TensorFile, path: Path, res_scale: float | None = None) -> tuple[Tensors, dict[str, Any]]:
    """Detect which network the tensors of a file belong to.

    Args:
        file: the tensors.
        path: for messages.
        res_scale: the factor of the residual branches. Only files that ``write`` wrote contain it. For others the
            default is 0.1 with 256 features or more and 1.0 below, as in the EDSR paper.

    Returns:
        The tensors with our names, and the description of a checkpoint: ``model``, ``model_args``, ``scale``, and
        ``origin``, which says where they are from and how each value was detected.

    Raises:
        CheckpointError: it is not such a file, or the network is not EDSR at x1, x2, x3 or x4.
    """
    theirs = _without_prefixes(file.tensors)
    dialect = _dialect(theirs, path)
    means = {name: theirs.pop(name) for name in list(theirs) if name.startswith(("sub_mean.", "add_mean."))}
    n_blocks = edsr_names.count_blocks(theirs)
    scale = edsr_names.find_scale(theirs, _UPSAMPLERS[dialect], path)
    tensors = edsr_names.rename(theirs, edsr_names.by_their_name(dialect, n_blocks, scale), path)
    n_feats, kernel_px = edsr_names.check_shapes(tensors, n_blocks, scale, path)
    for name in _before_shuffle(scale):
        tensors[name] = from_torch(tensors[name], edsr_names.FACTORS[scale][0])
    n_colors = tensors["tail.weight"].shape[0]
    layers = _find_means(means, n_colors, dialect, path)
    layers.fold(tensors)
    found: dict[str, Any] = {
        "model": "edsr",
        "model_args": {
            "n_resblocks": n_blocks,
            "n_feats": n_feats,
            "kernel_px": kernel_px,
            "res_scale": 0.1 if n_feats >= 256 else 1.0,
            "rgb_mean": layers.mean,
            **({} if n_colors == 3 else {"n_colors": n_colors}),
        },
        "scale": scale,
        "origin": {
            "file": path.name,
            "names": f"{dialect}, under {file.entry!r}" if file.entry else dialect,
            "mean": layers.origin,
            "res_scale": "assumed from the number of features",
        },
    }
    if file.about is not None:
        _check_agreement(found, file.about, path)
        found = file.about
    return tensors, found if res_scale is None else _with_res_scale(found, res_scale)


def _with_res_scale(found: dict[str, Any], res_scale: float) -> dict[str, Any]:
    return {
        **found,
        "model_args": {**found.get("model_args", {}), "res_scale": res_scale},
        "origin": {**found.get("origin", {}), "res_scale": "given"},
    }


def write(path: Path, tensors: Mapping[str, NDArray[np.float32]], about: Mapping[str, Any]) -> None:
    """Write weights with EDSR-PyTorch's names and channel order, and with its two layers for the mean.

    The layers are left out if the mean is zero. ``about`` is also written, where PyTorch and safetensors ignore it, so
    that ``read`` returns exactly what was written.

    Args:
        path: ``.pt``, ``.pth``, ``.npz`` or ``.safetensors``.
        tensors: under our names.
        about: ``model``, ``scale``, and ``model_args`` with at least ``rgb_mean``.

    Raises:
        CheckpointError: the network is not a plain EDSR, or the suffix is unknown.
        SrtrainError: the file cannot be written.
    """
    tensor_file.check_suffix(path)
    args = about.get("model_args", {})
    if about.get("model") != "edsr" or args.get("block", "residual") != "residual" or "rgb_mean" not in args:
        raise CheckpointError(
            f"{str(path)!r} cannot be written: EDSR-PyTorch's names are for the model 'edsr' with blocks "
            f"'residual' and a known rgb_mean, and these weights are of {about.get('model')!r} with {args}."
        )
    n_blocks, scale = edsr_names.count_blocks(tensors), int(about["scale"])
    names = edsr_names.by_their_name("EDSR-PyTorch", n_blocks, scale)
    if set(names.values()) != set(tensors):
        odd = sorted(set(names.values()) ^ set(tensors))
        raise CheckpointError(
            f"{str(path)!r} cannot be written: {edsr_names.some(odd)} missing or unknown in an EDSR x{scale}."
        )
    theirs = {
        name: to_torch(tensors[own], edsr_names.FACTORS[scale][0])
        if own in _before_shuffle(scale)
        else tensors[own]
        for name, own in names.items()
    }
    mean = 255 * np.array(args["rgb_mean"], np.float32)
    if len(mean) == 3 and args.get("n_colors", 3) == 1:
        mean = brightness(mean).astype(np.float32).reshape(1)
    if mean.any():
        eye = np.eye(len(mean), dtype=np.float32)[:, :, None, None]
        before, after = (
            {"sub_mean.weight": eye, "sub_mean.bias": -mean},
            {"add_mean.weight": eye, "add_mean.bias": mean},
        )
        theirs = {**before, **theirs, **after}
    tensor_file.write(path, theirs, about)


def _without_prefixes(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    found = dict(tensors)
    while found and (match := _PREFIXES.match(next(iter(found)))):
        if not all(name.startswith(match[0]) for name in found):
            break
        found = {name.removeprefix(match[0]): tensor for name, tensor in found.items()}
    return found


def _dialect(theirs: Mapping[str, NDArray[Any]], path: Path) -> str:
    for dialect, first in (("EDSR-PyTorch", "head.0.weight"), ("BasicSR", "conv_first.weight")):
        if first in theirs:
            return dialect
    raise CheckpointError(
        f"{str(path)!r} holds no EDSR: it has neither 'head.0.weight' (EDSR-PyTorch) nor 'conv_first.weight' "
        f"(BasicSR), but {edsr_names.some(list(theirs))}."
    )


def _before_shuffle(scale: int) -> list[str]:
    """Return our names of the tensors of the upsampler's convolutions."""
    stages = range(len(edsr_names.FACTORS[scale]))
    return [f"upsampler.{2 * stage}.{part}" for stage in stages for part in ("weight", "bias")]


@dataclass(frozen=True)
class _Means:
    """The layers around a network: ``before * (x - mean)`` is the input, and ``after * y + offset`` the output.

    Attributes:
        mean: a number for each channel, in [0, 1].
        before: factors of the input in [0, 255].
        after: factors of the output in [0, 255].
        offset: what is added beyond the mean, in [0, 255].
        origin: how all this was found.
    """

    mean: list[float]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    offset: NDArray[np.float64]
    origin: str

    def fold(self, tensors: Tensors) -> None:
        """Make everything but the mean a part of the first and last convolution."""
        if np.any(self.before != 1):
            tensors["head.weight"] = _float32(tensors["head.weight"] * self.before.reshape(1, -1, 1, 1))
        if np.any(self.after != 1):
            tensors["tail.weight"] = _float32(tensors["tail.weight"] * self.after.reshape(-1, 1, 1, 1))
            tensors["tail.bias"] = _float32(tensors["tail.bias"] * self.after)
        if not np.allclose(self.offset, 0, atol=1e-4):
            tensors["tail.bias"] = _float32(tensors["tail.bias"] + self.offset)


def _float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)


def _find_means(layers: Mapping[str, NDArray[Any]], n: int, dialect: str, path: Path) -> _Means:
    """Return the layers for the mean of ``n`` channels, which BasicSR's files do not contain."""
    one, zero = np.ones(n), np.zeros(n)
    if not layers and dialect == "BasicSR" and n == 3:
        return _Means(list(BASICSR_MEAN), one, one, zero, "BasicSR's, which is not in the file")
    if not layers:
        return _Means([0.0] * n, one, one, zero, "none: the file has no sub_mean")
    wanted = [f"{layer}.{part}" for layer in ("sub_mean", "add_mean") for part in ("weight", "bias")]
    if sorted(layers) != sorted(wanted) or any(
        layers[name].size != (n * n, n)["bias" in name] for name in layers
    ):
        raise CheckpointError(
            f"{str(path)!r} has {edsr_names.some(list(layers))} instead of {edsr_names.some(wanted)} for "
            f"{'RGB' if n == 3 else 'grey'}."
        )
    minus, plus = (
        layers[f"{layer}.bias"].astype(np.float64).reshape(n) for layer in ("sub_mean", "add_mean")
    )
    matrices = [
        layers[f"{layer}.weight"].astype(np.float64).reshape(n, n) for layer in ("sub_mean", "add_mean")
    ]
    before, after = (np.diag(matrix) for matrix in matrices)
    # EDSR-PyTorch divides by rgb_std in both layers, so its add_mean undoes its sub_mean only if rgb_std is 1.
    undone = np.allclose(before * after, 1) and np.allclose(plus * before, -minus)
    divided_twice = np.allclose(before, after) and np.allclose(plus, -minus)
    plain = all(np.allclose(matrix, np.diag(np.diag(matrix))) for matrix in matrices) and np.all(before > 0)
    if not plain or not (undone or divided_twice):
        raise CheckpointError(
            f"the mean of {str(path)!r} is not taken off and put back as in EDSR: sub_mean.bias {minus.tolist()}, "
            f"add_mean.bias {plus.tolist()}, with the weights {before.tolist()} and {after.tolist()} (1 / rgb_std)."
        )
    mean = -minus / before
    # EDSR-PyTorch's option --rgb_range is 1 or 255; no set of pictures has a mean as dark as 1 in 255.
    rgb_range = 1 if 0 < mean.max() <= 1 else 255
    widen = 255 / rgb_range
    deviations = (
        "" if np.allclose(before, 1) else f", rgb_std {', '.join(f'{1 / each:.4g}' for each in before)}"
    )
    return _Means(
        [edsr_names.plain(value / rgb_range) for value in mean],
        before / widen,
        after * widen,
        (plus - mean) * widen,
        f"add_mean of the file, for white = {rgb_range}{deviations}",
    )


def _check_agreement(found: Mapping[str, Any], about: Mapping[str, Any], path: Path) -> None:
    """Refuse a file whose tensors do not fit its own description."""
    said = {**about.get("model_args", {}), "model": about.get("model"), "scale": about.get("scale")}
    seen = {**found["model_args"], "model": found["model"], "scale": found["scale"]}
    for key in ("model", "scale", "n_resblocks", "n_feats", "kernel_px"):
        if key in said and said[key] != seen[key]:
            raise CheckpointError(
                f"{str(path)!r} says of itself that its {key} is {said[key]!r}, and its tensors are of {seen[key]!r}."
            )
