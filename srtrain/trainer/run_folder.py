"""The folder of one run: its lock, what --overwrite may delete, the record of its start, and what resume may change."""

from __future__ import annotations

import contextlib
import json
import platform
import shlex
import shutil
import sys
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path

from srtrain.errors import RecipeError, RunFolderError
from srtrain.files import HeldError, take_lock, write_whole
from srtrain.recipe import Recipe
from srtrain.recipe.load import load_recipe
from srtrain.recipe.record import to_json
from srtrain.recipe.text import differences

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
_LOCK = ".lock"
_KEPT = (
    _LOCK,
    f"{_LOCK}.owner",
    "launch",
)  # exist before a run begins; launch/ holds the output of the processes
_owned = {
    *(".*", "recipe.py", "recipe.json", "command.txt", "env.json"),
    *("run.log", "run.rank*", "checkpoints"),
}


def own(*patterns: str) -> None:
    """Declare names of files and folders that a run writes into its folder, so that ``--overwrite`` may delete them.

    Each module that writes into the run folder calls this when it is imported. ``*`` stands for any characters.
    """
    _owned.update(patterns)


class RunFolder:
    """Holds the lock on a run folder from ``open`` to ``close``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = contextlib.ExitStack()

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    def open(self, *, resume: bool, overwrite: bool) -> None:
        """Make the folder if it does not exist, lock it, and delete an earlier run if ``overwrite`` is set.

        Raises:
            RunFolderError: the folder is in use by another run, is not writable, or is not empty and neither ``resume``
                nor ``overwrite`` is set.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(take_lock(self.path / _LOCK))
            found = sorted(p.name for p in self.path.iterdir() if p.name not in _KEPT)
        except HeldError as holder:
            raise RunFolderError(
                f"the run folder {str(self.path)!r} is in use by {holder}. Wait for it, stop it, or set "
                f"run_dir=ANOTHER."
            ) from None
        except OSError as error:
            raise RunFolderError(
                f"the run folder {str(self.path)!r} cannot be used: {error.strerror or error}. Set run_dir= elsewhere."
            ) from error
        if overwrite and found:
            self._clear(found)
        elif found and not resume:
            raise RunFolderError(
                f"the run folder {str(self.path)!r} is not empty ({', '.join(found[:5])}). Use --resume to "
                f"continue that run, --overwrite to delete it, or run_dir=ANOTHER."
            )

    def _clear(self, found: list[str]) -> None:
        """Delete what an earlier run wrote; refuse a folder that holds anything else."""
        foreign = [name for name in found if not any(fnmatchcase(name, pattern) for pattern in _owned)]
        if foreign:
            raise RunFolderError(
                f"--overwrite will not delete {str(self.path)!r}: it holds files that this run does not write "
                f"({', '.join(foreign[:5])}). Move them, or set run_dir=ANOTHER."
            )
        for name in found:
            path = self.path / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def record(self, recipe: Recipe, source: Path) -> None:
        """Write down how this run was started: recipe, command, versions."""
        write_whole(self.path / "recipe.json", to_json(recipe))
        if source.suffix == ".py":
            write_whole(self.path / "recipe.py", source.read_bytes())
        with (self.path / "command.txt").open("a", encoding="utf-8") as file:
            file.write(shlex.join([Path(sys.executable).name, *sys.argv]) + "\n")
        write_whole(self.path / "env.json", json.dumps(environment(), indent=2) + "\n")

    def earlier_recipe(self) -> Recipe | None:
        """Return the recipe of the run that is in this folder, if there is one."""
        file = self.path / "recipe.json"
        return load_recipe(file) if file.is_file() else None

    def close(self) -> None:
        """Release the lock."""
        self._held.close()


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
