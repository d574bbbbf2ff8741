"""Checkpoints: a checkpoint is either complete or not there.

    checkpoints/step_00010000/   model.ckpt  optimizer.ckpt  …  state.json
    checkpoints/latest           name of the newest checkpoint, as text
    checkpoints/best             name of the best one; best.json holds its score

A checkpoint is written to a hidden folder, flushed to the disk, and renamed; then ``latest`` names it. If the process
is killed at any moment, older checkpoints are intact.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms

from srtrain.errors import CheckpointError, SrtrainError, first_line
from srtrain.files import lack_of_space, whole_folder, write_whole
from srtrain.models.parameters import put

Tensors = Mapping[str, ms.Tensor]
_NAME = re.compile(r"step_\d{8,}")


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint folder: tensors by group and name, and JSON values."""

    path: Path
    tensors: dict[str, dict[str, ms.Parameter]]
    state: dict[str, Any]

    @property
    def step(self) -> int:
        """Number of finished updates."""
        return int(self.state["step"])


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: ``<run>/checkpoints``; created with the first checkpoint.
        about: values for every ``state.json``, such as the model's name and arguments.
        writes: whether this process writes; only rank 0 does.
    """

    def __init__(self, folder: Path, about: dict[str, Any] | None = None, writes: bool = True) -> None:
        self.folder = folder
        self.about = about or {}
        self.writes = writes

    def path(self, step: int) -> Path:
        """Return the folder of the checkpoint with ``step`` finished updates."""
        return self.folder / f"step_{step:08d}"

    def save(self, step: int, tensors: Mapping[str, Tensors], state: Mapping[str, Any]) -> Path:
        """Write one checkpoint and point ``latest`` at it.

        Raises:
            SrtrainError: the disk is full or not writable; older checkpoints are intact.
        """
        final = self.path(step)
        if not self.writes:
            return final
        about = {**self.about, **state, "step": step, "groups": {g: len(t) for g, t in tensors.items()}}
        n_bytes = sum(t.nbytes for items in tensors.values() for t in items.values()) + 2**20
        try:
            if problem := lack_of_space(self.folder, n_bytes):
                raise OSError(problem)
            with whole_folder(final) as part:
                for group, items in tensors.items():
                    if items:
                        named = [{"name": n, "data": t} for n, t in items.items()]
                        ms.save_checkpoint(named, str(part / f"{group}.ckpt"), crc_check=True)
                (part / "state.json").write_text(_to_json(about), encoding="utf-8")
            write_whole(self.folder / "latest", f"{final.name}\n")
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            reason = first_line(error).rstrip(".")
            raise SrtrainError(
                f"the checkpoint of step {step} could not be written to {self.folder}: {reason}. "
                f"Older checkpoints are intact. Free some space or set run_dir= elsewhere, then --resume."
            ) from error
        return final

    def load(self, path: Path) -> Checkpoint:
        """Read a checkpoint folder.

        Raises:
            CheckpointError: a file is missing or broken; the error names it.
        """
        file = path / "state.json"
        if not file.is_file():
            raise CheckpointError(f"{str(path)!r} is not a checkpoint: it has no state.json. {self._offer()}")
        state = _read_json(file, self._offer())
        try:
            tensors = {}
            for group, n_tensors in state["groups"].items():
                file = path / f"{group}.ckpt"
                if n_tensors:
                    file.stat()  # a shorter message for a missing file than MindSpore's
                tensors[group] = dict(ms.load_checkpoint(str(file), crc_check=True)) if n_tensors else {}
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
            raise CheckpointError(
                f"the checkpoint file {str(file)!r} is broken: {first_line(error).rstrip('.')}. {self._offer()}"
            ) from error
        return Checkpoint(path, tensors, state)

    def steps(self) -> list[int]:
        """Return the steps of all complete checkpoints, in rising order."""
        if not self.folder.is_dir():
            return []
        return sorted(int(p.name[5:]) for p in self.folder.iterdir() if _NAME.fullmatch(p.name))

    def latest(self) -> Path | None:
        """Return the newest checkpoint, or ``None``."""
        return self._named_by("latest") or (self.path(self.steps()[-1]) if self.steps() else None)

    def best(self) -> Path | None:
        """Return the checkpoint with the best score, or ``None``."""
        return self._named_by("best")

    def best_score(self) -> dict[str, Any] | None:
        """Return ``best.json``: metric, protocol, value and step; or ``None``."""
        file = self.folder / "best.json"
        if self.best() is None or not file.is_file():
            return None
        return _read_json(file)

    def mark_best(self, step: int, **score: Any) -> None:
        """Point ``best`` at the checkpoint of ``step``; write the score to ``best.json`` and into the checkpoint."""
        if self.writes:
            file = self.path(step) / "state.json"  # so that a copy of the checkpoint has its score
            write_whole(file, _to_json({**_read_json(file), "score": score}))
            write_whole(self.folder / "best.json", _to_json({**score, "step": step}))
            write_whole(self.folder / "best", f"{self.path(step).name}\n")

    def forget_after(self, step: int) -> None:
        """Delete checkpoints after ``step`` and pointers to them, because a run resumed at ``step`` writes its own."""
        if not self.writes:
            return
        for later in [s for s in self.steps() if s > step]:
            shutil.rmtree(self.path(later))
        for name in ("latest", "best"):
            if self._named_by(name) is None:
                (self.folder / name).unlink(missing_ok=True)

    def prune(self, keep: int) -> None:
        """Delete all but the newest ``keep`` checkpoints; keep those that ``latest`` and ``best`` name."""
        if not self.writes:
            return
        named = {self.latest(), self.best()}
        for step in self.steps()[:-keep]:
            if self.path(step) not in named:
                shutil.rmtree(self.path(step))

    def _named_by(self, pointer: str) -> Path | None:
        with contextlib.suppress(FileNotFoundError):
            path = self.folder / (self.folder / pointer).read_text(encoding="utf-8").strip()
            if path != self.folder and path.is_dir():
                return path
        return None

    def _offer(self) -> str:
        steps = self.steps()
        return (
            f"Checkpoints in {self.folder}: {', '.join(self.path(s).name for s in steps[-5:]) or '(none)'}."
        )


def find_checkpoint(path: Path, newest: bool = False) -> Path:
    """Return the checkpoint folder meant by a checkpoint, a ``checkpoints`` folder, or a run folder.

    Args:
        path: one of these; of the last two, the best checkpoint is taken, or the newest where none is marked as best.
        newest: take the newest in any case, as a resumed run must.

    Raises:
        CheckpointError: there is none.
    """
    if (path / "state.json").is_file():
        return path
    for folder in (path, path / "checkpoints"):
        store = CheckpointStore(folder)
        found = None if newest else store.best()
        found = found or store.latest()
        if found is not None:
            return found
    raise CheckpointError(
        f"there is no checkpoint in {str(path)!r}. Give a step_… folder, or a run folder with checkpoints in it."
    )


def find_weights(path: Path) -> tuple[Path, dict[str, Any]]:
    """Return the file with the weights at ``path``, and the ``state.json`` beside it (empty if there is none).

    ``path`` is a ``.ckpt`` file, a checkpoint folder, or a run folder, whose best checkpoint is used. If a checkpoint
    has averaged weights (EMA), they are returned, because the evaluation used them.

    Raises:
        CheckpointError: there are no weights at ``path``.
    """
    if path.is_file():
        folder, file = path.parent, path
    elif path.exists():
        folder = find_checkpoint(path)
        averaged = folder / "ema.ckpt"
        file = averaged if averaged.is_file() else folder / "model.ckpt"
    else:
        raise CheckpointError(
            f"{str(path)!r} does not exist. Give a .ckpt file, a step_… folder, or a run folder. The run folder of "
            f"recipes/NAME.py is runs/NAME, and runs/NAME_smoke with --smoke."
        )
    about = folder / "state.json"
    return file, _read_json(about) if about.is_file() else {}


def assign(parameters: Mapping[str, ms.Parameter], values: Tensors, what: str) -> None:
    """Copy ``values`` into ``parameters`` of the same names and shapes, all or none.

    Raises:
        CheckpointError: names or shapes differ; the error lists the first five of each kind.
    """
    complaints = []
    for label, names in {
        "missing in the checkpoint": [n for n in parameters if n not in values],
        "unknown to this run": [n for n in values if n not in parameters],
        "of another shape": [
            f"{n} {tuple(values[n].shape)} instead of {tuple(p.shape)}"
            for n, p in parameters.items()
            if n in values and tuple(values[n].shape) != tuple(p.shape)
        ],
    }.items():
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            complaints.append(f"{label}: {', '.join(names[:5])}{more}")
    if complaints:
        raise CheckpointError(f"{what} does not fit this run: {'; '.join(complaints)}.")
    for name, parameter in parameters.items():
        put(parameter, values[name].asnumpy())


def _to_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"


def _read_json(file: Path, offer: str = "") -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        CheckpointError: the file is cut short or holds no object.
    """
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")).items())
    except (OSError, ValueError, AttributeError) as error:
        says = f"the checkpoint file {str(file)!r} is broken: {first_line(error).rstrip('.')}. {offer}"
        raise CheckpointError(says.rstrip()) from error
