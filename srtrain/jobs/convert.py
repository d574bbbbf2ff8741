"""Convert weights of other frameworks into a checkpoint, and back; blend two networks."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindspore import nn

from srtrain.errors import CheckpointError, listing
from srtrain.recipe.record import encode
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.weights import SUFFIXES, edsr_names, edsr_pytorch, foreign, model_zoo
from srtrain.weights.described import default_args
from srtrain.weights.read import build_model, read_weights
from srtrain.weights.transfer import Weights, variant

_KEPT = ("model", "model_args", "scale", "recipe_hash", "plugins")  # of what a checkpoint says about itself


def run(args: argparse.Namespace) -> int:
    """Read the weights, check them on a network, print what was found, and write."""
    weights = read_weights(args.file, args.res_scale, args.network)
    if args.kind == "model-zoo" and weights.about.get("origin", {}).get("names") != model_zoo.NAMES:
        raise CheckpointError(
            f"{str(args.file)!r} is not an EDSR of MindSpore's model zoo: its Parameters are "
            f"{edsr_names.some(list(weights.tensors))}. The model zoo's are head.0.weight, tail.0.up.0.weight, …"
        )
    if not args.foreign:
        weights = described(weights)
    model = build_model(weights)  # fails if our network does not take the weights
    path = write_weights(args.to, weights, model, args.kind)
    print(f"{_describe(weights)}\nwrote {path}")
    return 0


def write_weights(target: Path, weights: Weights, model: nn.Cell, names: str) -> Path:
    """Write a file for another framework, or a checkpoint into a folder; return it.

    Args:
        target: a folder, or a file with a suffix of ``srtrain/weights``.
        weights: what a file gets.
        model: the network with these weights, for a checkpoint.
        names: of a file: ``edsr-pytorch``, ``torch`` or ``srtrain``.
    """
    if target.suffix not in SUFFIXES:
        return CheckpointStore(target, weights.about).save(0, {"model": model.parameters_dict()}, {})
    if names in ("torch", "srtrain"):
        foreign.write(target, weights.tensors, weights.about, names)
    else:
        edsr_pytorch.write(target, weights.tensors, weights.about)
    return target


def described(weights: Weights) -> Weights:
    """Describe a checkpoint of srtrain in full; arguments that its recipe left out get their default values."""
    about = {key: weights.about[key] for key in _KEPT if key in weights.about}
    if about.get("model") == "edsr":
        about["model_args"] = {**default_args("edsr"), **about.get("model_args", {})}
    about["origin"] = {"file": "/".join(weights.source.parts[-3:]), "names": "srtrain"}
    return Weights(weights.source, weights.tensors, about)


def _describe(weights: Weights) -> str:
    """Return what was found in a file, and which values are guesses."""
    about, args = weights.about, weights.about.get("model_args", {})
    origin = about.get("origin", {})
    name = f" ({variant(about)})" if variant(about) else ""
    said = f" ({origin['res_scale']})" if "res_scale" in origin else ""
    mean = f" ({origin['mean']})" if "mean" in origin else ""
    rows = {
        "network": f"{about['model']} x{about['scale']}{name}",
        "names": origin.get("names", "srtrain"),
        **(_of_edsr(args, said, mean) if about["model"] == "edsr" else {}),
        **({} if about["model"] == "edsr" else {"arguments": _words(args)}),
        **{key: origin[key] for key in ("range", "not used") if key in origin},
        "tensors": len(weights.tensors),
        "parameters": f"{sum(tensor.size for tensor in weights.tensors.values()):,}",
    }
    return "\n".join([str(weights.source), *(f"  {key:<11}{value}" for key, value in rows.items())])


def _of_edsr(args: Mapping[str, Any], said: str, mean: str) -> dict[str, Any]:
    return {
        "blocks": args.get("n_resblocks"),
        "features": args.get("n_feats"),
        "kernel": f"{args.get('kernel_px')} px",
        "res_scale": f"{args.get('res_scale')}{said}",
        "rgb_mean": f"{', '.join(map(str, args.get('rgb_mean', ())))}{mean}",
    }


def _words(args: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in args.items()) or "those of the class"


def blend_command(args: argparse.Namespace) -> int:
    """Read both, check that they are of one architecture, and write the network between them."""
    a, b = (described(read_weights(path)) for path in (args.a, args.b))
    for weights in (a, b):
        build_model(weights)  # fails if a network is not known here, or does not take its weights
    blended = blend(a, b, args.at)
    path = write_weights(args.to, blended, build_model(blended), "srtrain")
    print(f"{1 - args.at:g} · {args.a} + {args.at:g} · {args.b}\nwrote {path}")
    return 0


def blend(a: Weights, b: Weights, at: float) -> Weights:
    """Return the weights (1 - at) · a + at · b.

    Args:
        a: the weights at 0.
        b: the weights at 1, of the same network with the same arguments.
        at: from 0 to 1.

    Raises:
        CheckpointError: the architectures differ.
    """
    kinds = [_architecture(weights.about) for weights in (a, b)]
    if differences := [
        f"{key}: {kinds[0].get(key)!r} and {kinds[1].get(key)!r}"
        for key in dict.fromkeys([*kinds[0], *kinds[1]])
        if kinds[0].get(key) != kinds[1].get(key)
    ]:
        raise CheckpointError(
            f"{str(a.source)!r} and {str(b.source)!r} are different networks ({'; '.join(differences)}), so "
            f"their weights cannot be blended."
        )
    if odd := sorted(
        name
        for name in {*a.tensors, *b.tensors}
        if name not in a.tensors or name not in b.tensors or a.tensors[name].shape != b.tensors[name].shape
    ):
        raise CheckpointError(
            f"{str(a.source)!r} and {str(b.source)!r} do not have the same weights: {listing(odd[:5])} "
            f"{'is' if len(odd) == 1 else 'are'} missing in one of them, or of another shape."
        )
    tensors = {
        name: ((1 - at) * value.astype("float64") + at * b.tensors[name].astype("float64")).astype(
            value.dtype
        )
        for name, value in a.tensors.items()
    }
    origin = {"blend": [str(a.source), str(b.source)], "at": at, "names": "srtrain"}
    about = {key: value for key, value in a.about.items() if key not in ("origin", "recipe_hash")}
    return Weights(a.source, tensors, {**about, "origin": origin})


def _architecture(about: dict[str, Any]) -> dict[str, Any]:
    """Return what makes two networks comparable."""
    defaults = default_args(about["model"])
    return {
        "model": about["model"],
        "scale": about["scale"],
        **encode({**defaults, **about.get("model_args", {})}),
    }
