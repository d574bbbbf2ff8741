"""From a checkpoint to a file, in the order of the work: build, fold, write, check, and only then give it its name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import srtrain
from srtrain.data.picture import cannot_write
from srtrain.device.backend import Backend
from srtrain.device.mode import as_function
from srtrain.engines.engine import engine_named
from srtrain.engines.exported import json_beside
from srtrain.errors import ExportError
from srtrain.export.check import LIMIT, Difference, compare
from srtrain.export.fold import fold
from srtrain.export.format import prepared_format
from srtrain.export.options import Options
from srtrain.files import whole_files
from srtrain.models.receptive import receptive_px, size_multiple
from srtrain.weights.read import build_model, read_weights
from srtrain.weights.transfer import Weights


@dataclasses.dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        file: where it is now; ``.json`` beside it says what this says.
        about: what the file says of itself.
        difference: from the checkpoint.
    """

    file: Path
    about: dict[str, Any]
    difference: Difference


def export(
    source: Path, target: Path, options: Options | None = None, overwrite: bool = False, threads: int = 0
) -> Report:
    """Export a checkpoint, check the file against it, and write what was found beside the file, in ``….json``.

    Args:
        source: whatever ``read_weights`` reads.
        target: ``….onnx``, ``….mindir``, ``….param`` (ncnn, with a ``….bin``) or ``….air``. Nothing of that name
            exists until the check has passed.
        options: sizes; the precision is float32 here, and ``export_quantised`` does the others.
        overwrite: whether an existing file may be replaced.
        threads: cores to use; 0 takes all.

    Raises:
        UserError: a suffix or a size that cannot be, a file that exists, no permission to write.
        DeviceError: AIR without Ascend.
        CheckpointError: no checkpoint, or a broken one.
        ExportError: the file would not compute what the checkpoint does.
    """
    options = options or Options()
    format_ = prepared_format(target, options, overwrite)
    if not Backend.started:
        Backend().start("graph", threads)
    weights = read_weights(source)
    about = describe(weights, options)
    with published(target) as hidden:
        format_.write(fold(build_model(weights)), hidden, about, options)
        difference = _check(weights, hidden, format_.engine, options, threads)
        write_json(hidden, about, difference)
    return Report(target, about, difference)


def describe(weights: Weights, options: Options) -> dict[str, Any]:
    """Return what the file will say of itself.

    Raises:
        CheckpointError: the checkpoint does not say which network it is of.
    """
    theirs = weights.about
    if "model" not in theirs or "scale" not in theirs:
        build_model(weights)  # says what is missing
    kept = ("model", "model_args", "scale", "step", "recipe_hash", "origin", "score")
    return {
        **{key: theirs[key] for key in kept if key in theirs},
        "receptive_px": receptive_px(theirs),
        "size_multiple": size_multiple(theirs),
        "input": "float32 NCHW RGB in [0, 255]",
        "output": f"the same, {theirs['scale']} times as high and wide, not clipped",
        "input_px": options.input_px,
        "batch": options.batch,
        "precision": options.precision,
        "srtrain": srtrain.__version__,
    }


def _check(weights: Weights, file: Path, engine: str, options: Options, threads: int) -> Difference:
    """Compare the file with the checkpoint.

    Raises:
        ExportError: they differ by more than rounding explains.
    """
    reference = as_function(build_model(weights))
    if engine:
        difference = compare(reference, engine_named(engine)(file, threads), options)
    else:  # nothing here runs the file: check the network that it was written from
        difference = compare(reference, as_function(fold(build_model(weights))), options)
    if not difference.passed:
        raise ExportError(
            f"the exported file differs from {str(weights.source)!r} by {difference.largest:.2g} grey levels, and "
            f"{LIMIT:g} is allowed; it was not kept. Please report this with the network's arguments."
        )
    return difference


def write_json(
    file: Path, about: dict[str, Any], difference: Difference, limit: float | None = LIMIT, **more: Any
) -> None:
    """Write what is known about a file beside it."""
    found = {
        "about": about,
        "check": {"largest_difference": difference.largest, "limit": limit, "shapes": difference.shapes},
        **more,
    }
    json_beside(file).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


@contextmanager
def published(target: Path) -> Iterator[Path]:
    """Yield a hidden file to write to; it and the files beside it get their names when the block ends without an error.

    Raises:
        DataError: the folder cannot be written, or the disk is full.
    """
    try:
        with whole_files(target) as hidden:
            yield hidden
    except OSError as error:
        raise cannot_write(target, error) from error
