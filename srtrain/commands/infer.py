"""``srtrain infer MODEL INPUT…``: upscale pictures and videos."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from srtrain.errors import RecipeError, SrtrainError

if TYPE_CHECKING:
    from srtrain.infer.inputs import Job
    from srtrain.infer.model import Model

HELP = "upscale pictures, folders and videos"
EXAMPLES = """\
examples:
  srtrain infer edsr_x2.onnx photo.jpg                     writes photo_x2.jpg beside it
  srtrain infer runs/edsr_x2 photo.png --to large.png --compare
  srtrain infer edsr_x2.onnx photos --to large             a folder, its structure kept
  srtrain infer edsr_x2.onnx 'photos/**/*.tif' film.mp4 --to large --overwrite
  srtrain infer edsr_x2.onnx huge.png --memory 800MB --self-ensemble
  cat a.png | srtrain infer edsr_x2.onnx - > b.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, the pictures, and how to upscale them."""
    parser.add_argument(
        "model", metavar="MODEL", help="an exported model, a run folder, or a file of weights"
    )
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="picture, video, folder, quoted pattern, or - for standard input",
    )
    parser.add_argument(
        "--to", metavar="PATH", help="file or folder of the outputs, or -; by default beside the inputs"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that are there")
    parser.add_argument(
        "--format", metavar="NAME", help="png, jpg, webp, tiff or bmp; by default that of the input"
    )
    parser.add_argument(
        "--quality", metavar="N", type=int, default=95, help="of JPEG and WebP, 1 to 100; default: 95"
    )
    parser.add_argument(
        "--self-ensemble", action="store_true", help="mean of eight orientations: eight times the time"
    )
    parser.add_argument(
        "--compare", action="store_true", help="also write …_compare.png, beside bicubic, with a detail"
    )
    parser.add_argument(
        "--tile",
        metavar="auto|N",
        default="auto",
        help="side of the tiles in pixels; auto: what memory allows",
    )
    parser.add_argument(
        "--overlap",
        metavar="N",
        type=int,
        help="of the tiles, in pixels; by default as far as the network looks",
    )
    parser.add_argument(
        "--memory", metavar="SIZE", default="1.5GB", help="what the process may hold; default: 1.5GB"
    )
    parser.add_argument(
        "--engine", metavar="NAME", default="auto", help="what runs the model; by default, its suffix"
    )
    parser.add_argument("--device", metavar="NAME", help="backend of checkpoints, such as ascend")
    parser.add_argument("--threads", metavar="N", type=int, default=0, help="cores to use; 0 takes all")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="NAME", help="plugin to activate; repeatable"
    )


def run(args: argparse.Namespace) -> int:
    """Upscale everything; exit code 1 where a file failed or an output was kept."""
    to_standard = args.to == "-" or (args.to is None and "-" in args.inputs)
    if to_standard:
        if args.compare:
            raise RecipeError(
                "--compare writes a file beside the output, and standard output has none: add --to FILE."
            )
        if sys.stdout.isatty():
            raise RecipeError(
                "standard output is a terminal, which shows no picture: add > FILE or --to FILE."
            )
    with contextlib.redirect_stdout(sys.stderr) if to_standard else contextlib.nullcontext():
        return _run(args)  # where standard output is the picture's alone, what is said goes the other way


def _run(args: argparse.Namespace) -> int:
    tile_px, suffix = _check(args)
    model = _open(args, tile_px)
    from PIL import Image

    from srtrain.infer.inputs import STANDARD, make_plan

    Image.MAX_IMAGE_PIXELS = None  # the user names the pictures, and large ones are what tiles are for
    plan = make_plan(args.inputs, args.to, model.scale, suffix)
    for note in [*([model.about["foreign"]] if "foreign" in model.about else []), *plan.notes]:
        print(f"note: {note}")
    kept: list[Path] = []
    n_failed = 0
    for job in plan.jobs:
        if there := [] if args.overwrite else [path for path in _outputs(job, args.compare) if path.exists()]:
            kept += there
            continue
        try:
            _upscale(job, model, args)
        except RecipeError:
            raise  # of the command line, and so of every file
        except SrtrainError as error:
            name = "standard input" if job.source == STANDARD else str(job.source)
            named = str(error) if name in str(error) else f"{name}: {error}"
            print(f"error: {named}", file=sys.stderr)
            n_failed += 1
        except MemoryError as error:  # not the network's, whose tiles become smaller then
            print(f"error: {job.source}: no memory for the picture and its output: {error}", file=sys.stderr)
            n_failed += 1
    if kept:
        print(f"{len(kept)} output(s) exist and were kept, such as {kept[0]}. --overwrite replaces them.")
    if n_failed:
        print(f"{n_failed} of {len(plan.jobs)} input(s) failed", file=sys.stderr)
    return 1 if kept or n_failed else 0


def _check(args: argparse.Namespace) -> tuple[int | None, str | None]:
    """Return the side of a tile and the suffix of the outputs, ``None`` for automatic.

    Raises:
        RecipeError: an option whose value is none.
    """
    from srtrain.infer.picture import FORMATS

    suffix = None if args.format is None else f".{args.format.lower().lstrip('.')}"
    if suffix is not None and suffix not in FORMATS:
        raise RecipeError(
            f"--format {args.format} is not known; known: {', '.join(name[1:] for name in FORMATS)}."
        )
    if not 1 <= args.quality <= 100:
        raise RecipeError(f"--quality {args.quality} is not between 1 and 100.")
    if args.tile == "auto":
        return None, suffix
    if not args.tile.isdecimal() or int(args.tile) == 0:
        raise RecipeError(f"--tile {args.tile} is neither auto nor a number of pixels.")
    return int(args.tile), suffix


def _open(args: argparse.Namespace, tile_px: int | None) -> Model:
    if args.plugin or args.device:
        from srtrain import plugins
        from srtrain.device import BACKENDS

        for name in args.plugin:
            plugins.activate(name)
        if args.device:
            BACKENDS.build(args.device).start("graph", args.threads)
    from srtrain.infer.model import load

    return load(
        args.model,
        engine=args.engine,
        threads=args.threads,
        memory=args.memory,
        tile_px=tile_px,
        overlap_px=args.overlap,
        self_ensemble=args.self_ensemble,
        say=lambda text: print(f"note: {text}"),
    )


def _outputs(job: Job, compare: bool) -> list[Path]:
    """Return the files that a job writes."""
    from srtrain.infer.inputs import STANDARD

    if job.target == STANDARD:
        return []
    return [job.target, _sheet_path(job.target)] if compare and not job.is_video else [job.target]


def _sheet_path(target: Path) -> Path:
    return target.with_name(f"{target.stem}_compare.png")


def _upscale(job: Job, model: Model, args: argparse.Namespace) -> None:
    """Upscale one file and say so."""
    from srtrain.data.picture import cannot_write
    from srtrain.infer.inputs import STANDARD

    started = time.perf_counter()
    if job.target != STANDARD:
        try:
            job.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(job.target.parent, error) from error
    if job.is_video:
        from srtrain.infer.video import upscale_video

        what = f"{upscale_video(model, job.source, job.target)} frames, without sound"
    else:
        what = _upscale_picture(job, model, args)
    print(f"{job.source} → {job.target}: {what}, {time.perf_counter() - started:.2f} s")


def _upscale_picture(job: Job, model: Model, args: argparse.Namespace) -> str:
    """Upscale one picture; return its sizes in words."""
    from srtrain.data.picture import write_bytes
    from srtrain.infer.inputs import STANDARD
    from srtrain.infer.picture import Picture, decode_picture, encode_picture, read_picture

    if job.source == STANDARD:
        picture = decode_picture(sys.stdin.buffer.read(), "standard input")
    else:
        picture = read_picture(job.source)
    large = Picture(model.upscale(picture.pixels), job.format or picture.format, picture.profile)
    encoded = encode_picture(large, args.quality)
    if job.target == STANDARD:
        with os.fdopen(os.dup(1), "wb") as output:  # sys.stdout is where notes go, which is not here
            output.write(encoded)
    else:
        write_bytes(job.target, encoded)
        if args.compare:
            from srtrain.infer.compare import compare_sheet

            title = Path(args.model).stem + (", self-ensemble" if args.self_ensemble else "")
            sheet = compare_sheet(picture.pixels, large.pixels, title)
            write_bytes(_sheet_path(job.target), encode_picture(Picture(sheet, "png")))
    (height, width), (large_height, large_width) = picture.pixels.shape[:2], large.pixels.shape[:2]
    return f"{width}×{height} → {large_width}×{large_height} px"
