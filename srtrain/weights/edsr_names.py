"""The names and shapes of EDSR in the files of other frameworks, and how they become ours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srtrain.errors import CheckpointError

Tensors = dict[str, NDArray[np.float32]]

FACTORS: dict[int, list[int]] = {2: [2], 3: [3], 4: [2, 2], 1: []}
"""Factors of the stages of an upsampler, by scale."""


def count_blocks(names: Mapping[str, Any]) -> int:
    """Return the number of residual blocks."""
    found = [re.fullmatch(r"body\.(\d{1,6})\.(body\.0|conv1)\.weight", name) for name in names]
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def find_scale(theirs: Mapping[str, NDArray[Any]], start: str, path: Path) -> int:
    """Return the scale, from the channels of the upsampler's convolutions, whose names begin with ``start``."""
    stages = [t for name, t in theirs.items() if name.startswith(start) and name.endswith(".weight")]
    growth = [t.shape[0] / t.shape[1] for t in stages if t.ndim == 4 and t.shape[1]]
    for scale, factors in FACTORS.items():
        if growth == [factor * factor for factor in factors]:
            return scale
    raise CheckpointError(
        f"{str(path)!r} is an EDSR of a scale that is unknown here: the convolutions below {start!r} multiply the "
        f"channels by {growth}. Known: 4 (x2), 9 (x3), 4 twice (x4), and none (x1)."
    )


def by_their_name(dialect: str, n_blocks: int, scale: int) -> dict[str, str]:
    """Return our name of every tensor by their name, in their order."""
    block = ("body.0", "body.2") if dialect == "EDSR-PyTorch" else ("conv1", "conv2")
    ends = {
        "BasicSR": ("conv_first", "conv_after_body", "upsample", "conv_last"),
        "EDSR-PyTorch": ("head.0", f"body.{n_blocks}", "tail.0", "tail.1"),
        "model zoo": ("head.0", f"body.{n_blocks}", "tail.0.up", "tail.1"),
    }[dialect]
    head, body_end, upsampler, tail = ends
    layers = {head: "head"}
    for n in range(n_blocks):
        layers |= {f"body.{n}.{block[0]}": f"body.{n}.conv1", f"body.{n}.{block[1]}": f"body.{n}.conv2"}
    layers[body_end] = "body_end"
    layers |= {f"{upsampler}.{2 * stage}": f"upsampler.{2 * stage}" for stage in range(len(FACTORS[scale]))}
    layers[tail] = "tail"
    return {f"{name}.{part}": f"{own}.{part}" for name, own in layers.items() for part in ("weight", "bias")}


def rename(theirs: Mapping[str, NDArray[Any]], names: Mapping[str, str], path: Path) -> Tensors:
    """Return the tensors under our names; refuse any that is missing, unknown or not a fraction."""
    problems = []
    if missing := [name for name in names if name not in theirs]:
        problems.append(f"without {some(missing)}")
    if unknown := [name for name in theirs if name not in names]:
        problems.append(f"with {some(unknown)}, which EDSR has not")
    if problems:
        raise CheckpointError(f"{str(path)!r} is like an EDSR, but {' and '.join(problems)}.")
    odd = [name for name in names if not np.issubdtype(theirs[name].dtype, np.floating)]
    if odd:
        raise CheckpointError(f"{str(path)!r} holds weights that are no fractions: {some(odd)}.")
    return {own: np.asarray(theirs[name], np.float32, order="C") for name, own in names.items()}


def check_shapes(tensors: Tensors, n_blocks: int, scale: int, path: Path) -> tuple[int, int]:
    """Check all shapes; return the number of features and the side of the kernels."""
    head = tensors["head.weight"].shape
    if len(head) != 4:
        raise CheckpointError(
            f"{str(path)!r} is like an EDSR, but its first convolution has the shape {head}."
        )
    n_feats, _, k, _ = head
    tail = tensors["tail.weight"].shape
    n_colors = 1 if tail and tail[0] == 1 else 3
    odd = []
    for name in by_their_name("EDSR-PyTorch", n_blocks, scale).values():
        layer, part = name.rsplit(".", 1)
        n_in = n_colors if layer == "head" else n_feats
        shuffled = math.prod(FACTORS[scale][:1]) ** 2 * n_feats
        n_out = {"tail": n_colors, "upsampler": shuffled}.get(layer.split(".")[0], n_feats)
        wanted = (n_out,) if part == "bias" else (n_out, n_in, k, k)
        if tensors[name].shape != wanted:
            odd.append(f"{name} is {tensors[name].shape} instead of {wanted}")
    if odd:
        raise CheckpointError(
            f"{str(path)!r} is like an EDSR, but its tensors do not fit together (our names): {some(odd)}."
        )
    return n_feats, k


def plain(value: float) -> float:
    """Remove the rounding of float32: return 0.4488 for 0.44880000516."""
    return round(value, 6) if abs(round(value, 6) - value) < 1e-7 else float(value)


def some(names: Sequence[str]) -> str:
    """Return the first five names, in their order, and the number of the others."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more if names else "(none)"
