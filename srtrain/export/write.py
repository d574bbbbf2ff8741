"""Export a checkpoint: build the network, fold it, write the file, check it, and only then give it its name."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mindspore as ms

import srtrain
from srtrain.data.picture import cannot_write
from srtrain.device.backend import Backend
from srtrain.device.mode import as_function
from srtrain.engines.engine import engine_named
from srtrain.engines.exported import json_beside
from srtrain.errors import DeviceError, ExportError, MachineError
from srtrain.export.check import Difference, compare
from srtrain.export.fold import In01
from srtrain.export.format import LIMIT, Format, prepared_format
from srtrain.export.options import Options
from srtrain.files import lack_of_space, sha256_of, whole_files
from srtrain.models.collapsed import is_collapsed
from srtrain.models.ensemble import channels_of, of_channels
from srtrain.models.receptive import least_px, receptive_px, size_multiple
from srtrain.weights.read import at_scale, build_model, read_weights
from srtrain.weights.transfer import Weights

_LITTLE_BYTES = 100_000  # a disk with less than this is full


@dataclasses.dataclass(frozen=True)
class Report:
    """Result of an export.

    Attributes:
        file: the exported file; the JSON beside it has the same content as this report.
        about: the metadata of the file.
        difference: the difference from the checkpoint.
    """

    file: Path
    about: dict[str, Any]
    difference: Difference


def export(
    source: Path, target: Path, options: Options | None = None, overwrite: bool = False, threads: int = 0
) -> Report:
    """Export a checkpoint, check the file against it, and write the result of the check to the JSON beside the file.

    Args:
        source: a run folder, a checkpoint, or a file of weights; see ``read_weights``.
        target: ``….onnx``, ``….mindir``, ``….param`` (ncnn, with a ``….bin``) or ``….air``. The file gets this name
            after
            the check has passed.
        options: the sizes; the precision is float32 here (``export_quantised`` writes the others).
        overwrite: whether an existing file may be replaced.
        threads: number of cores to use; 0 uses all.

    Raises:
        UserError: the suffix or a size is not supported, the file exists, or the folder is not writable.
        DeviceError: AIR without an Ascend device.
        CheckpointError: the checkpoint is missing or damaged, or does not describe its network.
        RecipeError: it needs a plugin that is missing, or that the user has not consented to.
        ExportError: the network cannot be exported, or the file does not compute the same as the checkpoint.
    """
    options = options or Options()
    format_ = prepared_format(target, options, overwrite)
    target = options.program.placed(target) if options.program else target
    start_device(format_.target, threads)
    weights = at_scale(read_weights(source, network=options.network), options.scale)
    options = dataclasses.replace(options, plain=options.plain or format_.plain)
    model = build_model(weights)
    about = describe(weights, options, channels_of(model))
    if options.program:
        options.program.check_network(target, int(about["scale"]), channels_of(model))
    n_bytes = sum(tensor.nbytes for tensor in weights.tensors.values())
    with published(target, n_bytes + _LITTLE_BYTES) as hidden:
        model = format_.fold(model, options.plain)
        about["linear_end"] = "collapsed" if is_collapsed(model) else "plain"
        model = In01(model) if options.program else model
        format_.write(model, hidden, about, options)
        difference = _check(weights, hidden, format_, options, threads)
        write_json(hidden, about, difference, format_.limit)
    return Report(target, about, difference)


def start_device(target: str, threads: int) -> None:
    """Start the device that writes the file, unless one is started that can.

    Raises:
        DeviceError: this process computes on another device, and MindSpore allows one.
    """
    if not Backend.started:
        Backend.on(target).start("graph", threads)
    elif target != "CPU" and ms.get_context("device_target") != target:
        raise DeviceError(
            f"this process computes on {ms.get_context('device_target')}, and the file can be written on {target} "
            f"only. Export it in a new process: srtrain export."
        )


def describe(weights: Weights, options: Options, channels: int) -> dict[str, Any]:
    """Return the metadata for the file, of a network that reads pictures with so many channels."""
    theirs = weights.about
    kept = ("model", "model_args", "scale", "step", "recipe_hash", "origin", "score")
    return {
        **{key: theirs[key] for key in kept if key in theirs},
        "receptive_px": receptive_px(theirs),
        "size_multiple": size_multiple(theirs),
        "least_px": least_px(theirs),
        "channels": channels,
        "input": f"float32 NCHW {'RGB' if channels == 3 else 'grey'} in [0, {1 if options.program else 255}]",
        "values": "0-1" if options.program else "0-255",
        "output": f"the same with {theirs['scale']} times the height and width, not clipped",
        "input_px": options.input_px,
        "batch": options.batch,
        "precision": options.precision,
        "srtrain": srtrain.__version__,
    }


def _check(weights: Weights, file: Path, format_: Format, options: Options, threads: int) -> Difference:
    """Compare the file with the checkpoint.

    Raises:
        ExportError: the difference is larger than rounding can explain.
    """
    model = build_model(weights)
    channels = channels_of(model)
    reference = of_channels(as_function(model), channels)
    if format_.engine:
        difference = compare(reference, engine_named(format_.engine)(file, threads), options)
    else:  # no engine here runs the file: check the network that it was written from
        written = as_function(format_.fold(build_model(weights), options.plain))
        difference = compare(reference, of_channels(written, channels), options)
    if not difference.within(format_.limit):
        raise ExportError(
            f"the exported file differs from {str(weights.source)!r} by {difference.largest:.2g} grey levels, but only "
            f"{format_.limit:g} is allowed. It was deleted. Please report this with the arguments of the network."
        )
    return difference


def write_json(
    file: Path, about: dict[str, Any], difference: Difference, limit: float | None = LIMIT, **more: Any
) -> None:
    """Write the JSON beside a file: its metadata, the hashes of all files, the result of the check, and ``more``."""
    target = json_beside(file)
    found = {
        "about": about,
        "sha256": {part.name: sha256_of(part) for part in sorted(file.parent.iterdir()) if part != target},
        "check": {"largest_difference": difference.largest, "limit": limit, "shapes": difference.shapes},
        **more,
    }
    target.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


@contextmanager
def published(target: Path, n_bytes: int = 0) -> Iterator[Path]:
    """Yield a hidden file to write to; it and the files beside it get their names when the block ends without an error.

    Args:
        target: the name that the file gets.
        n_bytes: what it needs at least on the disk.

    Raises:
        DataError: the folder cannot be written.
        MachineError: the disk is full.
    """
    if problem := lack_of_space(target.parent, n_bytes):
        raise MachineError(f"cannot write {str(target)!r}: {problem}.")
    try:
        with whole_files(target) as hidden:
            try:
                yield hidden
            except (RuntimeError, OSError) as error:  # MindSpore does not say that the disk is full
                if lack_of_space(hidden.parent, _LITTLE_BYTES):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
                raise
    except OSError as error:
        raise cannot_write(target, error) from error
