"""Checkpoints that are exported on first use and then cached, for engines that read only exported files."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import srtrain
from srtrain.data.cache import default_cache_dir
from srtrain.engines.exported import json_beside
from srtrain.errors import CheckpointError, ExportError
from srtrain.export.options import Options
from srtrain.files import sha256_of, write_whole
from srtrain.files.json_file import read_json, read_text
from srtrain.infer.code import code_hash
from srtrain.kernels.compile import instruction_set
from srtrain.weights.network import Network

_FORMAT = "4"  # version of the cache; changing it invalidates all cached files
_BESIDE = {"about": dict, "sha256": {str: str}}


def cached_export(
    source: Path, suffix: str, threads: int = 0, scale: int | None = None, network: Network | None = None
) -> Path:
    """Return the exported file of a checkpoint: ``exports/<digest><suffix>`` in the cache. Write it if it is missing.

    A refusal is cached as well, because finding out takes as long as starting MindSpore. A damaged file of the cache is
    written again.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
        ExportError: the checkpoint cannot be exported.
    """
    target = default_cache_dir() / "exports" / f"{digest(source, scale, network)}{suffix}"
    refused = target.with_name(target.name + ".refused")
    if _is_whole(target):
        return target
    if reason := _reason(refused):
        raise ExportError(reason)
    print(f"note: exporting {str(source)!r} to {str(target)!r} (only once)", file=sys.stderr)
    from srtrain.export.write import export

    try:
        return export(
            source, target, Options(scale=scale, network=network), overwrite=True, threads=threads
        ).file
    except ExportError as error:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(refused, f"{error}\n")
        raise


def digest(source: Path, scale: int | None = None, network: Network | None = None) -> str:
    """Return a hash of everything that decides what the exported file contains; the name of the file does not matter.

    That is the weights and their description, the scale and the network if they are named, and the code that builds and
    writes the network.

    Raises:
        CheckpointError: there is no checkpoint.
    """
    file, about = _find(source)
    try:
        parts = [
            _FORMAT,
            srtrain.__version__,
            code_hash(),
            instruction_set(),  # a native file is for one kind of processor
            sha256_of(file),
            sha256_of(about) if about else "",
            *([] if scale is None else [scale]),
            *([] if network is None else [network.text()]),
        ]
    except OSError as error:
        raise CheckpointError(f"{str(source)!r} cannot be read: {error}.") from error
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _find(source: Path) -> tuple[Path, Path | None]:
    """Return the file with the weights, and the description beside it."""
    if source.is_file() and source.suffix != ".ckpt":
        return source, None
    from srtrain.trainer.checkpoint import find_weights
    from srtrain.weights.read import activate_plugins

    file, state = find_weights(source)
    activate_plugins(file, state)  # the hash covers their code
    about = file.with_name("state.json")
    return file, about if about.is_file() else None


def _is_whole(file: Path) -> bool:
    """Return whether an exported file and the files beside it have the content that they were written with."""
    try:
        hashes = read_json(json_beside(file), _BESIDE)["sha256"]
        return bool(hashes) and all(sha256_of(file.with_name(name)) == told for name, told in hashes.items())
    except (CheckpointError, OSError):
        return False


def _reason(refused: Path) -> str:
    """Return why a checkpoint cannot be exported, as far as it is known."""
    try:
        return read_text(refused).strip()
    except (OSError, ValueError):
        return ""
