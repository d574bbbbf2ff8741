"""Which files of a run folder the run wrote itself, so that ``--overwrite`` deletes those and nothing else.

Modules declare the names that they write with ``own``. A name that depends on the data, such as that of a picture, is
recorded with ``claim`` before the file is written. Both end up in ``files.txt`` of the run folder, so that an earlier
run can be deleted without the plugins that it used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from srtrain.files import delete_folder

RECORD = "recipe.json"
MANIFEST = "files.txt"
PART = f".{'[0-9a-f]' * 16}.part*"
"""The hidden files of ``srtrain.files.whole_file``; a process that was killed leaves one behind."""

_owned = {RECORD, MANIFEST, PART, "recipe.py", "command.txt", "env.json", "run.log", "run.rank[0-9]*.log"}


def own(*patterns: str) -> None:
    """Declare names of files and folders that a run writes into its folder, so that ``--overwrite`` may delete them.

    Each module that writes into the run folder calls this when it is imported. A name is relative to the run folder,
    with ``/`` between its parts; ``*`` stands for any characters of one part. The name of a folder includes everything
    in it.
    """
    _owned.update(patterns)


def claim(run_dir: Path, name: str) -> Path:
    """Record that this run writes the file ``name`` (relative, with ``/``) into its folder; return its path.

    Use it for names that depend on the data. ``own`` is enough for names that are known before.

    Raises:
        OSError: the manifest cannot be written.
    """
    file = run_dir / MANIFEST
    if name not in manifest(run_dir):
        with file.open("a", encoding="utf-8") as lines:
            lines.write(f"{name}\n")
    return run_dir / name


def manifest(run_dir: Path) -> list[str]:
    """Return the names in the manifest of a run folder, without those that point out of it or at hidden files."""
    try:
        lines = (run_dir / MANIFEST).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line and _is_safe(PurePosixPath(line))]


def patterns_of(run_dir: Path) -> list[str]:
    """Return the patterns of all files that a run wrote into its folder."""
    return sorted(_owned | set(manifest(run_dir)))


def _is_safe(name: PurePosixPath) -> bool:
    parts = name.parts
    return not name.is_absolute() and ".." not in parts and not parts[0].startswith((".", "*", "?", "["))


def is_recorded(run_dir: Path) -> bool:
    """Return whether a folder holds a run: whether ``recipe.json`` is a recipe, of this version or another."""
    file = run_dir / RECORD
    try:
        return not file.is_symlink() and is_record(file.read_bytes())
    except OSError:
        return False


def is_record(content: bytes) -> bool:
    """Return whether the content of a file is a recorded recipe."""
    try:
        return {"name", "scale", "model", "data", "train", "optim", "run_dir"} <= set(json.loads(content))
    except (ValueError, TypeError, RecursionError):
        return False


def is_owned(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a pattern matches a relative name or a folder above it."""
    parts = name.split("/")
    return any(_matches(parts, pattern.split("/")) for pattern in patterns)


def _matches(parts: list[str], pattern: list[str]) -> bool:
    """Return whether ``pattern`` matches the first of ``parts``."""
    return len(pattern) <= len(parts) and all(map(fnmatchcase, parts, pattern))


def contents(folder: Path, skip: Collection[str] = ()) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the relative name and the entry of everything below a folder, the content of a folder before itself.

    Links are yielded and not followed.

    Args:
        folder: a folder.
        skip: names directly in it that are left out.

    Raises:
        OSError: a folder cannot be read.
    """
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name in skip:
            continue
        if entry.is_dir(follow_symlinks=False):
            for name, inside in contents(Path(entry.path)):
                yield f"{entry.name}/{name}", inside
        yield entry.name, entry


def foreign(run_dir: Path, skip: Collection[str] = ()) -> list[str]:
    """Return what a run folder contains beside the files of its run. A link is always foreign: a run makes none.

    An empty folder belongs to a run if the run writes files into a folder of that name.

    Raises:
        OSError: a folder cannot be read.
    """
    patterns = patterns_of(run_dir)
    above = [p.rsplit("/", n)[0] for p in patterns for n in range(1, p.count("/") + 1)]
    found = []
    with_content = set()
    for name, entry in contents(run_dir, skip):
        with_content.add(name.rpartition("/")[0])
        if entry.is_symlink():
            found.append(f"{name} (a link)")
        elif entry.is_dir(follow_symlinks=False):
            if name not in with_content and not is_owned(name, [*patterns, *above]):
                found.append(f"{name}/")
        elif not is_owned(name, patterns):
            found.append(name)
    return found


def delete(run_dir: Path, skip: Collection[str] = ()) -> None:
    """Delete everything in a run folder; call ``foreign`` first. The proof that it is a run folder goes last.

    A kill leaves no half checkpoint: each loses its name first.

    Raises:
        OSError: a file cannot be deleted.
    """
    for folder in run_dir.glob("checkpoints/step_[0-9]*"):
        if folder.is_dir() and not folder.is_symlink():
            delete_folder(folder)
    for _, entry in contents(run_dir, (*skip, MANIFEST, RECORD)):
        if entry.is_dir(follow_symlinks=False):
            Path(entry.path).rmdir()
        else:
            Path(entry.path).unlink()
    for name in (MANIFEST, RECORD):
        (run_dir / name).unlink(missing_ok=True)
