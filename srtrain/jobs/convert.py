"""Convert weights of other frameworks into a checkpoint, and back."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from srtrain.errors import CheckpointError
from srtrain.models.edsr import EDSR
from srtrain.registry import parameters_of
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.weights import edsr_names, edsr_pytorch, foreign, model_zoo
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
        weights = _described(weights)
    model = build_model(weights)  # fails if our network does not take the weights
    if args.to_file:
        if args.kind in ("torch", "srtrain"):
            foreign.write(args.to, weights.tensors, weights.about, args.kind)
        else:
            edsr_pytorch.write(args.to, weights.tensors, weights.about)
        path = args.to
    else:
        store = CheckpointStore(args.to, weights.about)
        path = store.save(0, {"model": model.parameters_dict()}, {})
    print(f"{_describe(weights)}\nwrote {path}")
    return 0


def _described(weights: Weights) -> Weights:
    """Describe a checkpoint of srtrain in full; arguments that its recipe left out get their default values."""
    about = {key: weights.about[key] for key in _KEPT if key in weights.about}
    if about.get("model") == "edsr":
        optional = {name: p.default for name, p in parameters_of(EDSR).items() if p.default is not p.empty}
        about["model_args"] = {**optional, **about.get("model_args", {})}
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
