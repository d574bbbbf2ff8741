"""Upscale pictures and videos."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from srtrain.data.picture import cannot_write, write_bytes
from srtrain.device import BACKENDS
from srtrain.engines.memory import parse_bytes
from srtrain.errors import DataError, MachineError, RecipeError, SrtrainError, counted, first_line
from srtrain.infer.inputs import STANDARD, Job, make_plan, starts_with_input
from srtrain.infer.model import Model, load
from srtrain.infer.open import tell_device
from srtrain.infer.picture import FORMATS, Picture, Room, decode_picture, encode_picture, read_picture
from srtrain.zoo import best


@dataclass(frozen=True)
class Output:
    """How outputs are written.

    Attributes:
        quality: of JPEG and WebP, 1 to 100.
        overwrite: whether existing files are replaced.
        compare: title of a sheet that compares with bicubic; ``None`` writes no sheet.
        room: how large a picture may be.
    """

    quality: int
    overwrite: bool
    compare: str | None
    room: Room


def run(args: argparse.Namespace) -> int:
    """Upscale everything; the exit code is 1 if a file failed or an existing output was kept."""
    suffix = None if args.format is None else f".{args.format.lower().lstrip('.')}"
    if suffix is not None and suffix not in FORMATS:
        known = ", ".join(name[1:] for name in FORMATS)
        raise RecipeError(f"--format {args.format} is not a known format. Known: {known}.")
    # Standard output may be the picture, so messages go to standard error then.
    with contextlib.redirect_stdout(sys.stderr) if args.to_standard else contextlib.nullcontext():
        name, inputs = model_and_inputs(args.words, args.model, args.scale)
        model = _open(name, args)
        Image.MAX_IMAGE_PIXELS = None  # the user chose the pictures, and tiles exist for large ones
        plan = make_plan(inputs, args.to, model.scale, suffix)
        tell_device(model.tiled.engine, args.engine_options)
        for note in [*([model.about["foreign"]] if "foreign" in model.about else []), *plan.notes]:
            print(f"note: {note}")
        title = Path(name).stem + (", self-ensemble" if args.self_ensemble else "")
        room = Room(parse_bytes(args.memory), model.scale)
        output = Output(args.quality, args.overwrite, title if args.compare else None, room)
        return upscale_all(plan.jobs, model, output)


def model_and_inputs(words: Sequence[str], model: str | None, scale: int | None) -> tuple[str, list[str]]:
    """Return the model and the inputs that a command line means.

    Args:
        words: the inputs, after the model if ``model`` is ``None`` and the first word is no picture.
        model: the model of ``--model``.
        scale: of the built-in model, if no model is named; 2 by default.

    Raises:
        RecipeError: there is a model but no input, or no built-in model has this scale.
    """
    if model is not None:
        return model, list(words)
    if starts_with_input(words):
        return best(2 if scale is None else scale), list(words)
    if len(words) == 1:
        raise RecipeError(
            f"{words[0]!r} is the only word, and it is neither a picture nor a video nor a folder of pictures. Write "
            f"srtrain infer photo.jpg, or the model first: srtrain infer MODEL photo.jpg."
        )
    return words[0], list(words[1:])


def _open(name: str, args: argparse.Namespace) -> Model:
    if args.device:
        BACKENDS.build(args.device, **args.device_args).start("graph", args.threads)
    return load(
        name,
        engine=args.engine,
        threads=args.threads,
        memory=args.memory,
        tile_px=args.tile,
        overlap_px=args.overlap,
        self_ensemble=args.self_ensemble,
        value_range=args.range,
        scale=args.scale,
        model=args.network or "",
        model_args=args.model_args,
        say=lambda text: print(f"note: {text}"),
        options=args.engine_options,
    )


def upscale_all(jobs: list[Job], model: Model, output: Output) -> int:
    """Upscale files one after the other and report those that fail; return the exit code."""
    kept: list[Path] = []
    n_failed = 0
    for job in jobs:
        try:
            existing = [path for path in _outputs(job, output) if path.exists()]
            if existing and not output.overwrite:
                kept += existing
                continue
            _upscale(job, model, output)
        except (RecipeError, MachineError):
            raise  # a mistake in the command line or a full disk, which every file would repeat
        except Exception as error:  # whatever is wrong with one file, the others are still done
            _report(job, error)
            n_failed += 1
    if kept:
        exist = "exists and was kept" if len(kept) == 1 else "exist and were kept"
        print(
            f"{counted(len(kept), 'output')} {exist}, such as {kept[0]}. Add --overwrite to replace existing files."
        )
    if n_failed:
        print(f"{n_failed} of {counted(len(jobs), 'input')} failed", file=sys.stderr)
    return 1 if kept or n_failed else 0


def _report(job: Job, error: Exception) -> None:
    """Print in one line why a file failed."""
    name = "standard input" if job.source == STANDARD else str(job.source)
    if isinstance(error, SrtrainError):
        text = str(error)
    elif isinstance(error, MemoryError):  # not from the network: that makes the tiles smaller
        text = f"not enough memory for the picture and its output: {error}"
    elif isinstance(error, OSError):
        text = f"{error.strerror or error}: {str(error.filename or job.target)!r}"
    else:
        text = f"{type(error).__name__}: {first_line(error)}"
    print(f"error: {text if name in text else f'{name}: {text}'}", file=sys.stderr)


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

        n_frames = upscale_video(model, job.source, job.target, lambda text: print(f"note: {text}"))
        what = counted(n_frames, "frame")
    else:
        what = _upscale_picture(job, model, output)
    print(f"{job.source} → {job.target}: {what}, {time.perf_counter() - started:.2f} s")


def _upscale_picture(job: Job, model: Model, output: Output) -> str:
    """Upscale one picture; return its sizes as text."""
    if job.source == STANDARD:
        data = sys.stdin.buffer.read(output.room.n_bytes + 1)
        if len(data) > output.room.n_bytes:
            raise DataError(f"standard input has more bytes than --memory allows ({output.room.n_bytes:,}).")
        picture = decode_picture(data, "standard input", output.room)
    else:
        picture = read_picture(job.source, output.room)
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
