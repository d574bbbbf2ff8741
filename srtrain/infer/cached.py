"""Checkpoints that are exported on first use and then cached, for engines that read only exported files."""

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

_FORMAT = "1"  # version of the cache; changing it invalidates all cached files


def cached_export(source: Path, suffix: str, threads: int = 0) -> Path:
    """Return the exported file of a checkpoint: ``exports/<digest><suffix>`` in the cache. Write it if it is missing.

    A refusal is cached as well, because finding out takes as long as starting MindSpore.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
        ExportError: the checkpoint cannot be exported.
    """
    target = default_cache_dir() / "exports" / f"{digest(source)}{suffix}"
    refused = target.with_name(target.name + ".refused")
    if target.is_file():
        return target
    if refused.is_file():
        raise ExportError(refused.read_text(encoding="utf-8").strip())
    print(f"note: exporting {str(source)!r} to {str(target)!r} (only once)", file=sys.stderr)
    from srtrain.export.write import export

    try:
        return export(source, target, overwrite=True, threads=threads).file
    except ExportError as error:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(refused, f"{error}\n")
        raise


def digest(source: Path) -> str:
    """Return a hash of the weights and their description; the name of the file does not matter.

    Raises:
        CheckpointError: there is no checkpoint.
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
