"""Everything that a finished run left, without times and speeds, by name: two runs are equal if these are equal."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event

_TIMES = {"seconds", "pictures_per_second", "data_wait", "eta_seconds", "peak_memory_gb"}


def results(run: Path, cache: Path) -> dict[str, Any]:
    """Return the results of a run by name.

    Args:
        run: the run folder.
        cache: the folder with the decoded pictures.
    """
    found: dict[str, Any] = {}
    for file in sorted(file for file in run.rglob("*") if file.is_file() and not file.name.startswith(".")):
        name = file.relative_to(run).as_posix()
        if "tfevents" in name:
            found |= {"events": [*found.get("events", []), *_events(file)]}
        elif name == "metrics.jsonl":
            found[name] = [_timeless(json.loads(line)) for line in file.read_text().splitlines()]
        elif name.endswith("state.json"):
            found[name] = _state(json.loads(file.read_text()))
        elif (
            file.suffix == ".json" and name.startswith(("checkpoints/", "search/")) and file.stem != "seconds"
        ):
            found[name] = _timeless(json.loads(file.read_text()))
        elif file.suffix in (".ckpt", ".png", ".csv") or name in ("checkpoints/latest", "checkpoints/best"):
            found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    for manifest in sorted(cache.rglob("manifest.jsonl")):
        pixels = manifest.with_name("pictures.u8").read_bytes()
        for entry in map(json.loads, manifest.read_text().splitlines()):
            picture = pixels[entry["offset"] :][: entry["height"] * entry["width"] * 3]
            found[f"cache {entry['name']} {entry['height']}"] = hashlib.sha256(picture).hexdigest()
    return found


def different(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Return the names of the results that differ."""
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def _timeless(value: Any) -> Any:
    """Return JSON values without times; of a search, without the rank that trained a network, too."""
    if isinstance(value, dict):
        return {key: _timeless(part) for key, part in value.items() if key not in _TIMES | {"rank"}}
    return [_timeless(part) for part in value] if isinstance(value, list) else value


def _state(state: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's description without what depends on times: sizes of files and their hashes."""
    state["hooks"] = {key: value for key, value in state["hooks"].items() if set(value) - {"bytes", "recipe"}}
    return {key: _timeless(value) for key, value in state.items() if key != "sha256"}


def _events(file: Path) -> list[tuple[int, str, str]]:
    data, found = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event, data = Event.FromString(data[12 : 12 + length]), data[16 + length :]
        for value in event.summary.value:
            if not value.tag.startswith(("usage/", "recipe")) and "seconds" not in value.tag:
                digest = hashlib.sha256(value.SerializeToString()).hexdigest()[:16]
                found.append((event.step, value.tag, digest))
    return found
