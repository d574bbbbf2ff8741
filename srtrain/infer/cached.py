"""Checkpoints exported on the fly, once each, for engines that read exported files alone."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import srtrain
from srtrain.data.cache import default_cache_dir
from srtrain.errors import ExportError
from srtrain.files import write_whole

_FORMAT = "1"  # of what is written: another number is another file


def cached_export(source: Path, suffix: str, threads: int = 0) -> Path:
    """Return the exported file of a checkpoint: ``exports/<digest><suffix>`` in the cache, written where it is not yet.

    What is refused is remembered too, since finding out takes MindSpore's start-up.

    Raises:
        CheckpointError: no checkpoint, or a broken one.
        ExportError: it cannot be exported.
    """
    target = default_cache_dir() / "exports" / f"{digest(source)}{suffix}"
    refused = target.with_name(target.name + ".refused")
    if target.is_file():
        return target
    if refused.is_file():
        raise ExportError(refused.read_text(encoding="utf-8").strip())
    print(f"note: exporting {str(source)!r} to {str(target)!r}, once", file=sys.stderr)
    from srtrain.export.write import export

    try:
        return export(source, target, overwrite=True, threads=threads).file
    except ExportError as error:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(refused, f"{error}\n")
        raise


def digest(source: Path) -> str:
    """Return a name for the weights and what is said about them, whatever the file is called.

    Raises:
        CheckpointError: no checkpoint.
    """
    file, about = _find(source)
    told = hashlib.sha256(json.dumps([_FORMAT, srtrain.__version__, about], sort_keys=True).encode())
    with file.open("rb") as stream:
        for block in iter(lambda: stream.read(2**20), b""):
            told.update(block)
    return told.hexdigest()[:24]


def _find(source: Path) -> tuple[Path, dict[str, Any]]:
    if source.is_file() and source.suffix != ".ckpt":
        return source, {}
    from srtrain.trainer.checkpoint import find_weights

    return find_weights(source)
