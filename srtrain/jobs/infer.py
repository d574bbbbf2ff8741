"""Upscale pictures and videos."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from srtrain.data.picture import cannot_write, write_bytes
from srtrain.device import BACKENDS
from srtrain.errors import RecipeError, SrtrainError, counted
from srtrain.infer.inputs import STANDARD, Job, make_plan
from srtrain.infer.model import Model, load
from srtrain.infer.picture import FORMATS, Picture, decode_picture, encode_picture, read_picture


@dataclass(frozen=True)
class Output:
    """How outputs are written.

    Attributes:
        quality: of JPEG and WebP, 1 to 100.
        overwrite: whether existing files are replaced.
        compare: title of a sheet that compares with bicubic; ``None`` writes no sheet.
    """

    quality: int
    overwrite: bool
    compare: str | None


def run(args: argparse.Namespace) -> int:
    """Upscale everything; the exit code is 1 if a file failed or an existing output was kept."""
    suffix = None if args.format is None else f".{args.format.lower().lstrip('.')}"
    if suffix is not None and suffix not in FORMATS:
        known = ", ".join(name[1:] for name in FORMATS)
        raise RecipeError(f"--format {args.format} is not a known format. Known: {known}.")
    # Standard output may be the picture, so messages go to standard error then.
    with contextlib.redirect_stdout(sys.stderr) if args.to_standard else contextlib.nullcontext():
        model = _open(args)
        Image.MAX_IMAGE_PIXELS = None  # the user chose the pictures, and tiles exist for large ones
        plan = make_plan(args.inputs, args.to, model.scale, suffix)
        for note in [*([model.about["foreign"]] if "foreign" in model.about else []), *plan.notes]:
            print(f"note: {note}")
        title = Path(args.model).stem + (", self-ensemble" if args.self_ensemble else "")
        output = Output(args.quality, args.overwrite, title if args.compare else None)
        return upscale_all(plan.jobs, model, output)


def _open(args: argparse.Namespace) -> Model:
    if args.device:
        BACKENDS.build(args.device).start("graph", args.threads)
    return load(
        args.model,
        engine=args.engine,
        threads=args.threads,
        memory=args.memory,
        tile_px=args.tile,
        overlap_px=args.overlap,
        self_ensemble=args.self_ensemble,
        value_range=args.range,
        say=lambda text: print(f"note: {text}"),
    )


def upscale_all(jobs: list[Job], model: Model, output: Output) -> int:
    """Upscale files one after the other and report those that fail; return the exit code."""
    kept: list[Path] = []
    n_failed = 0
    for job in jobs:
        existing = [path for path in _outputs(job, output) if path.exists()]
        if existing and not output.overwrite:
            kept += existing
            continue
        try:
            _upscale(job, model, output)
        except RecipeError:
            raise  # a mistake in the command line, which every file would repeat
        except SrtrainError as error:
            name = "standard input" if job.source == STANDARD else str(job.source)
            named = str(error) if name in str(error) else f"{name}: {error}"
            print(f"error: {named}", file=sys.stderr)
            n_failed += 1
        except MemoryError as error:  # not from the network: that makes the tiles smaller
            print(
                f"error: {job.source}: not enough memory for the picture and its output: {error}",
                file=sys.stderr,
            )
            n_failed += 1
    if kept:
        exist = "exists and was kept" if len(kept) == 1 else "exist and were kept"
        print(
            f"{counted(len(kept), 'output')} {exist}, such as {kept[0]}. Add --overwrite to replace existing files."
        )
    if n_failed:
        print(f"{n_failed} of {counted(len(jobs), 'input')} failed", file=sys.stderr)
    return 1 if kept or n_failed else 0


def _outputs(job: Job, output: Output) -> list[Path]:
    """Return the files that a job writes."""
    if job.target == STANDARD:
        return []
    with_sheet = output.compare is not None and not job.is_video
    return [job.target, _sheet_path(job.target)] if with_sheet else [job.target]


def _sheet_path(target: Path) -> Path:
    return target.with_name(f"{target.stem}_compare.png")


def _upscale(job: Job, model: Model, output: Output) -> None:
    """Upscale one file and print what was done."""
    started = time.perf_counter()
    if job.target != STANDARD:
        try:
            job.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(job.target.parent, error) from error
    if job.is_video:
        from srtrain.infer.video import upscale_video

        what = f"{counted(upscale_video(model, job.source, job.target), 'frame')}, without sound"
    else:
        what = _upscale_picture(job, model, output)
    print(f"{job.source} → {job.target}: {what}, {time.perf_counter() - started:.2f} s")


def _upscale_picture(job: Job, model: Model, output: Output) -> str:
    """Upscale one picture; return its sizes as text."""
    if job.source == STANDARD:
        picture = decode_picture(sys.stdin.buffer.read(), "standard input")
    else:
        picture = read_picture(job.source)
    large = Picture(model.upscale(picture.pixels), job.format or picture.format, picture.profile)
    encoded = encode_picture(large, output.quality)
    if job.target == STANDARD:
        with os.fdopen(os.dup(1), "wb") as standard:  # sys.stdout is redirected to standard error
            standard.write(encoded)
    else:
        write_bytes(job.target, encoded)
        if output.compare is not None:
            from srtrain.infer.compare import compare_sheet

            sheet = compare_sheet(picture.pixels, large.pixels, output.compare)
            write_bytes(_sheet_path(job.target), encode_picture(Picture(sheet, "png")))
    (height, width), (large_height, large_width) = picture.pixels.shape[:2], large.pixels.shape[:2]
    return f"{width}×{height} → {large_width}×{large_height} px"
