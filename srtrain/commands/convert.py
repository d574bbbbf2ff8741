"""``srtrain convert KIND FILE --to DEST``: convert weights of other frameworks, in both directions."""

from __future__ import annotations

import argparse
from pathlib import Path

from srtrain.cli import arguments
from srtrain.errors import CheckpointError, RecipeError
from srtrain.weights import SUFFIXES, is_weights_file

HELP = "convert weights of other frameworks into a checkpoint, and back"
EXAMPLES = """\
examples:
  srtrain convert edsr-pytorch EDSR_x2.pt --to weights/edsr_x2
  srtrain convert edsr-pytorch net_g_300000.pth --to weights/mine --res-scale 0.1
  srtrain convert edsr-pytorch runs/edsr_x2 --to edsr_x2.pt
  srtrain convert edsr-pytorch EDSR_x2.pt --to EDSR_x2.safetensors
  srtrain convert torch IMDN_x2.pth --model imdn --scale 2 --plugin light --to weights/imdn_x2
  srtrain convert torch my_net.pth --model my_net --scale 4 --model-args n_feats=48 --plugin my_net.py --to weights/mine
  srtrain convert torch runs/imdn_x2 --plugin light --to imdn_x2.pth
  srtrain convert srtrain runs/edsr_x2 --to edsr_x2.safetensors
  srtrain convert model-zoo EDSR_x2_DIV2K-6000_50.ckpt --to weights/edsr_x2

The files end in .pt, .pth, .npz or .safetensors. PyTorch is not needed, and no code in a file is run.
"""
RUN = "srtrain.jobs.convert:run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file, where it goes, and what the file may not say."""
    parser.add_argument(
        "kind",
        choices=["edsr-pytorch", "model-zoo", "torch", "srtrain"],
        help="naming scheme of the file: EDSR of EDSR-PyTorch or BasicSR, the .ckpt of MindSpore's model zoo, any "
        "network in PyTorch, or our own",
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="a weights file of another framework, or a run folder, a step_… folder or a .ckpt file of srtrain",
    )
    parser.add_argument(
        "--to",
        metavar="DEST",
        type=Path,
        required=True,
        help="a folder for a checkpoint, or a weights file for another framework",
    )
    parser.add_argument(
        "--res-scale",
        metavar="X",
        type=float,
        help="residual scaling, which files of other frameworks do not store (default: 0.1 from 256 features on, "
        "else 1.0)",
    )
    arguments.add_network(parser)
    parser.add_argument(
        "--scale",
        metavar="N",
        type=int,
        help="scale of the network of --model (default: found by the shapes)",
    )
    arguments.add_range(parser, arguments.OF_WEIGHTS)
    arguments.add_overwrite(parser, "replace what an earlier conversion wrote")


def check(args: argparse.Namespace) -> None:
    """Find out the direction of the conversion, and check that the target may be written.

    ``args`` gets ``foreign`` (the file is of another framework), ``to_file`` (the target is), and ``network``.
    """
    foreign = (".ckpt",) if args.kind == "model-zoo" else SUFFIXES
    is_theirs = args.file.suffix in foreign and not args.file.is_dir()
    args.foreign = is_theirs or is_weights_file(args.file)
    args.to_file = args.to.suffix in SUFFIXES
    if not args.foreign and not args.to_file:
        raise CheckpointError(
            f"{str(args.file)!r} is a checkpoint of srtrain, and --to {str(args.to)!r} would be one too. To write a "
            f"file for another framework, let DEST end in {', '.join(SUFFIXES)}. For a .ckpt file of MindSpore's model "
            f"zoo, write 'srtrain convert model-zoo'."
        )
    if not args.foreign and args.res_scale is not None:
        raise CheckpointError(
            f"--res-scale is for files that do not store it; {str(args.file)!r} is a checkpoint of srtrain, which does."
        )
    _check_network(args)
    arguments.check_weights_target(args.to, args.overwrite)


def _check_network(args: argparse.Namespace) -> None:
    """Add ``args.network``, and refuse ``--model`` where the network is known or detected."""
    args.network = arguments.network_from(args.model, args.model_args, args.scale, args.range)
    if args.network is None and (args.scale is not None or args.range is not None):
        raise RecipeError("--scale and --range are those of the network of --model, which is missing.")
    if args.network is not None and (args.kind in ("edsr-pytorch", "model-zoo") or not args.foreign):
        raise RecipeError(
            f"--model {args.network.model} does not belong here: 'srtrain convert {args.kind}' of "
            f"{str(args.file)!r} {'detects' if args.foreign else 'knows'} its network. Leave it out."
        )
