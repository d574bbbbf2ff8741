"""The folder of one run: who may use it, its lock, the record of its start, and what resume may change."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path

from srtrain.errors import RecipeError, RunFolderError, SrtrainError, UserError, cannot, masked
from srtrain.files import HeldError, take_lock, write_whole
from srtrain.files.json_file import read_json
from srtrain.recipe import Recipe
from srtrain.recipe.load import load_recipe
from srtrain.recipe.record import to_json
from srtrain.recipe.text import differences
from srtrain.trainer.owned import (
    MANIFEST,
    PART,
    RECORD,
    delete,
    foreign,
    is_recorded,
    own,
    patterns_of,
)

__all__ = ["LAUNCH", "RunFolder", "changes_on_resume", "environment", "forget_refused", "own"]

# If one of these changed in the middle of a run, neither the old nor the new recipe would describe the result.
LOCKED = (
    "name",
    "scale",
    "model",
    "seed",
    "loss",
    "init",
    "init_from",
    "precision",
    "data.train",
    "data.gt_patch_px",
    "data.batch_size",
    "data.augment",
    "data.degrade",
    "optim.optimizer",
)
LAUNCH = "launch"
"""Holds the output of the processes of each ``srtrain launch``; it is older than the run and survives it."""
_LOCK = ".lock"
_LOCK_FILES = (_LOCK, f"{_LOCK}.owner")
_KEPT = (*_LOCK_FILES, LAUNCH)
_STACKS = "run.rank*.stacks.log"  # the watchdog opens it before the run is recorded


class RunFolder:
    """Holds the lock on a run folder from ``open`` to ``close``.

    ``open`` only looks. The folder changes in ``accept``, which is called when nothing can refuse the start any more. A
    start that was refused before therefore leaves everything as it was: ``close`` deletes what ``open`` made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = environment()
        self._held = contextlib.ExitStack()
        self._made: list[Path] = []
        self._locks_before: dict[str, bytes] = {}
        self._overwrite = False
        self._accepted = False
        self._identity: tuple[int, int] | None = None

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    def open(self, *, resume: bool, overwrite: bool, fork: bool = False) -> None:
        """Check the folder, make it if it does not exist, and lock it. Nothing of an earlier run changes.

        Args:
            resume: whether a run that is recorded in the folder continues.
            overwrite: whether an earlier run in the folder is to be deleted by ``accept``.
            fork: whether a run begins here from a checkpoint of another folder.

        Raises:
            RunFolderError: the folder is in use by another run or not writable; there is no run to resume; or the
                folder is not empty and neither ``resume`` nor ``overwrite`` is set; or ``overwrite`` would delete
                something that no run wrote.
        """
        self._overwrite = overwrite
        if any((self.path / name).is_symlink() for name in _LOCK_FILES):
            raise RunFolderError(
                f"the run folder {str(self.path)!r} has a link {_LOCK!r}, which no run makes. Delete it, or set "
                f"run_dir=ANOTHER."
            )
        try:
            self._open(resume=resume, overwrite=overwrite, fork=fork)
        except BaseException:
            self.close()
            raise

    def _open(self, *, resume: bool, overwrite: bool, fork: bool) -> None:
        try:
            if not (self.path / _LOCK).is_file():  # otherwise it may be in use, which is the better reason
                self._check(resume=resume, overwrite=overwrite, fork=fork)
            self._made = [place for place in (self.path, *self.path.parents) if not place.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            self._locks_before = _contents_of(self.path / name for name in _LOCK_FILES)
            self._held.enter_context(take_lock(self.path / _LOCK))
            self._identity = _identity(self.path)
            self._check(resume=resume, overwrite=overwrite, fork=fork)
        except HeldError as holder:
            self._locks_before = {}  # the files belong to the holder
            raise RunFolderError(
                f"the run folder {str(self.path)!r} is in use by {holder}. Wait for it, stop it, or set "
                f"run_dir=ANOTHER."
            ) from None
        except OSError as error:
            raise cannot(
                f"the run folder {str(self.path)!r} cannot be used", error, "Set run_dir= elsewhere."
            ) from error

    def _check(self, *, resume: bool, overwrite: bool, fork: bool) -> None:
        """Refuse a folder that cannot be used in this way."""
        shown, recorded = repr(str(self.path)), is_recorded(self.path)
        found = self._found()
        if resume and not (self.path / RECORD).is_file() and not (fork and not found):
            raise RunFolderError(
                f"there is no run to resume in {shown}: it has no {RECORD}. Leave --resume out to start a run there, "
                f"or name the folder of the run, as in srtrain run RUN_FOLDER --resume."
            )
        if resume or not found:
            return
        names = ", ".join(found[:5])
        if not recorded:
            raise RunFolderError(
                f"the folder {shown} is not empty ({names}) and is no run folder: it has no {RECORD} of a run. "
                f"srtrain deletes nothing there. Set run_dir=ANOTHER."
            )
        if not overwrite:
            raise RunFolderError(
                f"the run folder {shown} is not empty ({names}). Use --resume to continue that run, --overwrite to "
                f"delete it, or run_dir=ANOTHER."
            )
        if others := foreign(self.path, _KEPT):
            raise RunFolderError(
                f"--overwrite will not delete the run in {shown}: the folder also holds what no run wrote "
                f"({', '.join(others[:5])}). Move it away, or set run_dir=ANOTHER."
            )

    def _found(self) -> list[str]:
        """Return the names in the folder, without those that a killed start can leave."""
        if not self.path.exists():
            return []
        ignored = (*_KEPT, PART, _STACKS)
        names = (entry.name for entry in os.scandir(self.path))
        return sorted(name for name in names if not any(fnmatchcase(name, pattern) for pattern in ignored))

    def accept(self, recipe: Recipe, source: Path) -> None:
        """Begin to change the folder: delete the run to overwrite, then record how this run was started.

        Raises:
            SrtrainError: the disk is full.
            RunFolderError: the folder is not writable.
        """
        try:
            self._accepted = True
            text = self._source_text(source)  # the file may be in the run that is deleted
            if self._overwrite:
                self._check(resume=False, overwrite=True, fork=False)
                open_now = [file.name for file in self.path.glob(_STACKS)]
                delete(self.path, (*_KEPT, *open_now))
            self.record(recipe, text)
        except OSError as error:
            raise cannot(
                f"the run folder {str(self.path)!r} cannot be written", error, "Set run_dir= elsewhere."
            ) from error

    def _source_text(self, source: Path) -> bytes | None:
        """Return the source of the recipe, if there is one."""
        file = source if source.suffix == ".py" else self.path / "recipe.py"
        return file.read_bytes() if file.is_file() else None

    def record(self, recipe: Recipe, source: bytes | None = None) -> None:
        """Write down how this run was started: recipe, its source, command, versions, and the names of its files.

        Credentials in addresses are masked, because run folders are copied and shared.

        Raises:
            OSError: the folder cannot be written.
        """
        write_whole(self.path / RECORD, masked(to_json(recipe)))  # first: it shows that this is a run folder
        write_whole(self.path / MANIFEST, "".join(f"{pattern}\n" for pattern in patterns_of(self.path)))
        if source is not None:
            write_whole(self.path / "recipe.py", _masked_source(source))
        with (self.path / "command.txt").open("a", encoding="utf-8") as file:
            file.write(masked(shlex.join([Path(sys.executable).name, *sys.argv])) + "\n")
        write_whole(self.path / "env.json", json.dumps(self.environment, indent=2) + "\n")

    def earlier_recipe(self) -> Recipe | None:
        """Return the recipe of the run that is in this folder, if there is one."""
        file = self.path / RECORD
        return load_recipe(file) if file.is_file() else None

    def earlier_environment(self) -> dict[str, str]:
        """Return the versions and the machine that this run last ran with; empty if they are not known."""
        with contextlib.suppress(UserError):
            told: dict[str, str] = read_json(self.path / "env.json", {str: str})
            return told
        return {}

    def check_present(self) -> None:
        """Check that the folder is still the one that was opened.

        Raises:
            SrtrainError: it was deleted or moved.
        """
        if self._identity is not None and _identity(self.path) != self._identity:
            raise SrtrainError(
                f"the run folder {str(self.path)!r} was deleted or moved during the run. What the run wrote "
                f"afterwards is lost. If the folder was moved, continue it with srtrain run NEW_PLACE --resume."
            )

    def close(self) -> None:
        """Release the lock. If the run was not accepted, delete what ``open`` made."""
        if not self._accepted and self._identity is not None:
            for name in _LOCK_FILES:
                with contextlib.suppress(OSError):
                    if name in self._locks_before:
                        (self.path / name).write_bytes(self._locks_before[name])
                    else:
                        (self.path / name).unlink()  # take_lock notices a lock file that was deleted
        self._held.close()
        if not self._accepted:
            _remove_empty(self._made)
        self._identity = None


def _masked_source(source: bytes) -> bytes:
    try:
        return masked(source.decode()).encode()
    except UnicodeDecodeError:
        return source  # in another encoding, which Python's first line names


def forget_refused(path: Path, log_dir: Path | None) -> None:
    """Delete what the processes of a refused start have left in a folder without a run, and the folder if it is empty.

    Args:
        path: the run folder.
        log_dir: where the launcher put the output of the processes, if that is in the run folder; it is deleted.
    """
    if log_dir is not None:
        shutil.rmtree(log_dir, ignore_errors=True)
        _remove_empty([log_dir.parent])
    if is_recorded(path) or not path.is_dir():
        return
    with contextlib.suppress(HeldError, OSError):
        if any((path / name).exists() for name in _LOCK_FILES):
            with take_lock(path / _LOCK):
                for name in _LOCK_FILES:
                    (path / name).unlink(missing_ok=True)
        _remove_empty([path, path.parent])


def _remove_empty(folders: Iterable[Path]) -> None:
    """Delete folders, the innermost first, up to the first that is not empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _contents_of(files: Iterable[Path]) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        about = folder.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def changes_on_resume(old: Recipe, new: Recipe) -> dict[str, tuple[object, object]]:
    """Return what a resumed run changes in its recipe, key by key.

    Raises:
        RecipeError: a change that would make the result neither the old nor the new recipe's.
    """
    changes = differences(old, new)
    locked = [key for key in changes if any(key == name or key.startswith(name + ".") for name in LOCKED)]
    if locked:
        shown = "; ".join(f"{key} was {changes[key][0]!r} and is now {changes[key][1]!r}" for key in locked)
        raise RecipeError(
            f"a run cannot change this when it is resumed: {shown}. Start a new run with name=NEW and, to "
            f"keep the weights, init_from=THIS_RUN_FOLDER."
        )
    return changes


def environment() -> dict[str, str]:
    """Return the versions and the machine that a result depends on."""
    versions = {}
    for package in ("srtrain", "mindspore", "mindcv", "numpy", "opencv-python-headless", "tensorboardX"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed as a package"
    return {"python": platform.python_version(), "machine": platform.platform(), **versions}
