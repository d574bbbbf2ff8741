"""``srtrain convert edsr-pytorch FILE --to DEST``: weights of EDSR-PyTorch and BasicSR into a checkpoint, and back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from srtrain.errors import CheckpointError, RunFolderError

if TYPE_CHECKING:
    from srtrain.weights.transfer import Weights

HELP = "turn others' weights into a checkpoint, and a checkpoint into theirs"
EXAMPLES = """\
examples:
  srtrain convert edsr-pytorch EDSR_x2.pt --to weights/edsr_x2
  srtrain convert edsr-pytorch net_g_300000.pth --to weights/mine --res-scale 0.1
  srtrain convert edsr-pytorch runs/edsr_x2 --to edsr_x2.pt
  srtrain convert edsr-pytorch EDSR_x2.pt --to EDSR_x2.safetensors

The files are .pt, .pth, .npz and .safetensors. PyTorch is not needed, and nothing in a file is run.
"""

_OWN = {"step_00000000", "latest"}  # what this command leaves in a folder
_KEPT = ("model", "model_args", "scale", "recipe_hash")  # of what a run says of itself


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file, where it goes, and what the file may not say."""
    parser.add_argument("kind", choices=["edsr-pytorch"], help="whose names; BasicSR's EDSR is read too")
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="a file of theirs, or a run folder, step_… folder or .ckpt of ours",
    )
    parser.add_argument(
        "--to",
        metavar="DEST",
        type=Path,
        required=True,
        help="a folder for a checkpoint, or a file of theirs",
    )
    parser.add_argument(
        "--res-scale",
        metavar="X",
        type=float,
        help="of the residual branches, which their files do not say; default: 0.1 from 256 features on, else 1.0",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier conversion wrote")


def run(args: argparse.Namespace) -> int:
    """Read, check on a network of ours, say what was found, and write."""
    from srtrain.trainer.checkpoint import CheckpointStore
    from srtrain.weights.edsr_pytorch import write
    from srtrain.weights.read import build_model
    from srtrain.weights.tensor_file import SUFFIXES

    foreign = args.file.suffix in SUFFIXES and not args.file.is_dir()
    to_file = args.to.suffix in SUFFIXES
    if not foreign and not to_file:
        raise CheckpointError(
            f"{str(args.file)!r} is a checkpoint of srtrain and --to {str(args.to)!r} would be one too. To write a "
            f"file of theirs, let DEST end in {', '.join(SUFFIXES)}."
        )
    _check_target(args.to, to_file, args.overwrite)
    weights = _read_theirs(args.file, args.res_scale) if foreign else _read_ours(args.file, args.res_scale)
    model = build_model(weights)  # that our network takes them is the check
    if to_file:
        write(args.to, weights.tensors, weights.about)
        path = args.to
    else:
        store = CheckpointStore(args.to, weights.about)
        path = store.save(0, {"model": model.parameters_dict()}, {})
    print(f"{_describe(weights)}\nwrote {path}")
    return 0


def _check_target(target: Path, to_file: bool, overwrite: bool) -> None:
    """Refuse to touch what is there without consent, and what no conversion wrote even with it."""
    if to_file:
        if target.is_dir():
            raise RunFolderError(f"--to {str(target)!r} is a folder, and its suffix asks for a file.")
        if target.exists() and not overwrite:
            raise RunFolderError(f"{str(target)!r} exists. Add --overwrite to replace it.")
        return
    if target.is_file():
        raise RunFolderError(f"--to {str(target)!r} is a file; a checkpoint is a folder.")
    found = {path.name for path in target.iterdir()} if target.is_dir() else set()
    if found - _OWN:
        raise RunFolderError(
            f"{str(target)!r} holds something else than a conversion ({', '.join(sorted(found - _OWN)[:5])}). Give a "
            f"folder that is empty or not there yet."
        )
    if found and not overwrite:
        raise RunFolderError(f"{str(target)!r} holds an earlier conversion. Add --overwrite to replace it.")


def _read_theirs(file: Path, res_scale: float | None) -> Weights:
    from srtrain.weights import edsr_pytorch
    from srtrain.weights.transfer import Weights

    return Weights(file, *edsr_pytorch.read(file, res_scale))


def _read_ours(path: Path, res_scale: float | None) -> Weights:
    """Read a checkpoint; arguments that its recipe left to their defaults are written out."""
    from srtrain.models.edsr import EDSR
    from srtrain.registry import parameters_of
    from srtrain.weights.read import read_weights
    from srtrain.weights.transfer import Weights

    if res_scale is not None:
        raise CheckpointError(
            f"--res-scale is for files that do not say it; {str(path)!r} is a checkpoint of srtrain."
        )
    weights = read_weights(path)
    about = {key: weights.about[key] for key in _KEPT if key in weights.about}
    if about.get("model") == "edsr":
        optional = {name: p.default for name, p in parameters_of(EDSR).items() if p.default is not p.empty}
        about["model_args"] = {**optional, **about.get("model_args", {})}
    about["origin"] = {"file": "/".join(weights.source.parts[-3:]), "names": "srtrain"}
    return Weights(weights.source, weights.tensors, about)


def _describe(weights: Weights) -> str:
    """Return what was found in a file, and how much of it is a guess."""
    from srtrain.weights.transfer import variant

    about, args = weights.about, weights.about.get("model_args", {})
    origin = about.get("origin", {})
    name = f" ({variant(about)})" if variant(about) else ""
    said = f" ({origin['res_scale']})" if "res_scale" in origin else ""
    mean = f" ({origin['mean']})" if "mean" in origin else ""
    rows = {
        "network": f"{about['model']} x{about['scale']}{name}",
        "names": origin.get("names", "srtrain"),
        "blocks": args.get("n_resblocks"),
        "features": args.get("n_feats"),
        "kernel": f"{args.get('kernel_px')} px",
        "res_scale": f"{args.get('res_scale')}{said}",
        "rgb_mean": f"{', '.join(map(str, args.get('rgb_mean', ())))}{mean}",
        "tensors": len(weights.tensors),
        "parameters": f"{sum(tensor.size for tensor in weights.tensors.values()):,}",
    }
    return "\n".join([str(weights.source), *(f"  {key:<11}{value}" for key, value in rows.items())])
