"""Load weights alone into a network of the same or another scale, as ``init_from`` does; resume restores everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from srtrain.arrays import Float32
from srtrain.errors import CheckpointError
from srtrain.models import MODELS
from srtrain.models.parameters import put
from srtrain.recipe.record import decode, encode
from srtrain.registry import parameters_of

PARAMETRISATION = ("zoo_normalisation", "rgb_range", "rgb_std")
"""Arguments of networks that change the weights and not the function."""


@dataclass(frozen=True)
class Weights:
    """The tensors of a network, and the description in their file.

    Attributes:
        source: the file, for messages.
        tensors: by the names of our Parameters.
        about: ``model``, ``model_args``, ``scale`` and more, as far as the file contains them.
    """

    source: Path
    tensors: dict[str, Float32] = field(repr=False)
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadReport:
    """Which Parameters were loaded, which tensors of the file were skipped, and which Parameters stay initialised."""

    source: Path
    loaded: tuple[str, ...]
    skipped: tuple[str, ...]
    initialised: tuple[str, ...]
    differences: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"weights from {self.source}: {len(self.loaded)} loaded"]
        for label, names in (("skipped", self.skipped), ("left as initialised", self.initialised)):
            lines.append(f"  {label}: {', '.join(names) or '(none)'}")
        lines += [f"  note: {difference}" for difference in self.differences]
        return "\n".join(lines)


def load_weights(model: nn.Cell, weights: Weights, about: Mapping[str, Any]) -> LoadReport:
    """Copy weights into a network of the same kind, at the same scale or another.

    At the same scale everything must fit. At another scale, Parameters with one of the network's ``scale_dependent``
    prefixes are loaded as its ``scale_transfers`` says, and everything else must fit.

    Args:
        model: gets the weights.
        weights: those of another network.
        about: description of ``model``: ``model``, ``model_args`` and ``scale``.

    Raises:
        CheckpointError: the architectures differ, or the body does not fit.
    """
    given, weights = weights, _parametrised(weights, about.get("model_args", {}))
    own = model.parameters_dict()
    same_scale = _same_scale(model, weights, about["scale"])
    wanted = {name: name for name in own} if same_scale else _transfer(model, weights, about["scale"])
    problems = []
    for name, source in wanted.items():
        if source not in weights.tensors:
            problems.append(f"{source} is missing")
        elif weights.tensors[source].shape != tuple(own[name].shape):
            problems.append(
                f"{source} is {weights.tensors[source].shape} instead of {tuple(own[name].shape)}"
            )
    skipped = [name for name in weights.tensors if name not in wanted.values()]
    forgiven = () if same_scale else model.scale_dependent
    problems += [f"{name} is unknown here" for name in skipped if not name.startswith(forgiven)]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise CheckpointError(
            f"the weights in {weights.source} are of {describe(given.about)}, and this network is "
            f"{describe(about)}: {'; '.join(problems[:5])}{more}."
        )
    for name, source in wanted.items():
        put(own[name], weights.tensors[source])
    return LoadReport(
        weights.source,
        loaded=tuple(wanted),
        skipped=tuple(skipped),
        initialised=tuple(name for name in own if name not in wanted),
        differences=tuple(differences(weights.about, about)),
    )


def plain(weights: Weights) -> Weights:
    """Return the same network with the usual parametrisation, which engines, exports and other frameworks expect."""
    return _parametrised(weights, {})


def _parametrised(weights: Weights, args: Mapping[str, Any]) -> Weights:
    """Return weights that compute the same in a network with the arguments ``args``, such as ``zoo_normalisation``."""
    about = weights.about
    if "model_args" not in about or "scale" not in about or about.get("model") not in MODELS.names():
        return weights
    factors = getattr(MODELS.get(about["model"]), "weight_factors", None)
    if factors is None:
        return weights
    own, wanted = decode(about["model_args"]), decode(dict(args))
    channels = {"n_colors": own["n_colors"]} if "n_colors" in own else {}
    there, here = factors(about["scale"], own), factors(about["scale"], {**wanted, **channels})
    tensors = dict(weights.tensors)
    for name in (there.keys() | here.keys()) & tensors.keys():
        tensors[name] = tensors[name] * (here.get(name, 1) / there.get(name, 1)).astype(np.float32)
    kept = {name: value for name, value in about["model_args"].items() if name not in PARAMETRISATION}
    kept |= {name: wanted[name] for name in PARAMETRISATION if name in wanted}
    return Weights(weights.source, tensors, {**about, "model_args": kept})


def _same_scale(model: nn.Cell, weights: Weights, scale: int) -> bool:
    """Return whether network and file have the same scale, by the shapes if the file does not name its scale."""
    prefixes: tuple[str, ...] = getattr(model, "scale_dependent", ())
    if not prefixes or "scale" in weights.about:
        return not prefixes or weights.about["scale"] == scale
    own = {n: tuple(p.shape) for n, p in model.parameters_dict().items() if n.startswith(prefixes)}
    return own == {n: t.shape for n, t in weights.tensors.items() if n.startswith(prefixes)}


def _transfer(model: nn.Cell, weights: Weights, scale: int) -> dict[str, str]:
    """Return, for each Parameter that can be loaded from another scale, the name of its tensor in the file."""
    names = list(model.parameters_dict())
    wanted = {name: name for name in names if not name.startswith(model.scale_dependent)}
    rules: Mapping[str, str] = getattr(model, "scale_transfers", {}).get(
        (weights.about.get("scale"), scale), {}
    )
    for target, source in rules.items():
        wanted |= {name: source + name[len(target) :] for name in names if name.startswith(target)}
    return wanted


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each argument that differs between two networks, which may have equal shapes."""
    if theirs.get("model") != ours.get("model"):
        return []
    there, here = encode(theirs.get("model_args", {})), encode(ours.get("model_args", {}))
    return [
        f"{name} was {there[name]!r} where these weights were trained and is {here[name]!r} here"
        for name in sorted(set(there) & set(here))
        if there[name] != here[name]
    ]


def describe(about: Mapping[str, Any]) -> str:
    """Return a description of a network: ``EDSR-baseline x2 (edsr, n_resblocks=16, n_feats=64)``."""
    if "model" not in about:
        return "a network that its file does not name"
    name, scale = about["model"], about.get("scale", "?")
    if "model_args" not in about:
        return f"{name} x{scale}"
    args: dict[str, Any] = about["model_args"]
    words = ", ".join([name, *(f"{key}={value!r}" for key, value in args.items())])
    return f"{variant(about) or name} x{scale} ({words})"


def variant(about: Mapping[str, Any]) -> str:
    """Return the name of a network in papers, such as ``EDSR-baseline``, or an empty string."""
    if about.get("model") not in MODELS.names() or "model_args" not in about:
        return ""
    target = MODELS.get(about["model"])
    variants: Mapping[str, Mapping[str, Any]] = getattr(target, "variants", {})
    defaults = {name: p.default for name, p in parameters_of(target).items()}
    given = {**defaults, **decode(about["model_args"])}
    return next((name for name, own in variants.items() if all(given[key] == own[key] for key in own)), "")
