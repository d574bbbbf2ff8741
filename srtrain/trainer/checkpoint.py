"""Checkpoints: a checkpoint is either complete or not there.

    checkpoints/step_00010000/   model.ckpt  optimizer.ckpt  …  state.json
    checkpoints/latest           name of the newest checkpoint, as text
    checkpoints/best             name of the best one; best.json holds its score

A checkpoint is written to a hidden folder, flushed to the disk, and renamed; then ``latest`` names it. If the process
is killed at any moment, older checkpoints are intact.

``state.json`` holds the SHA-256 of each file beside it and of its own content. Every reader checks them: a flipped bit,
a file of another checkpoint and an edit by hand are errors. Older checkpoints have no such values; of those,
the readers check MindSpore's own CRC-32.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms

from srtrain.errors import CheckpointError, SrtrainError, first_line
from srtrain.files import delete_folder, lack_of_space, sha256_of, whole_folder, write_whole
from srtrain.files.json_file import Whole, checked, read_json, read_text, reason_of
from srtrain.models.parameters import put
from srtrain.trainer.owned import PART, own

_STEP = f"step_{'[0-9]' * 8}*"
own(
    *(
        f"checkpoints/{name}"
        for name in ("latest", "best", "best.json", PART, ".step_[0-9]*.part", ".step_[0-9]*.old")
    ),
    *(f"checkpoints/{_STEP}/{name}" for name in ("*.ckpt", "state.json", PART)),
)

Tensors = Mapping[str, ms.Tensor]
_NAME = re.compile(r"step_[0-9]{8,18}")
_FORMAT = 2  # says that there are hashes, so that a damaged name of their entry cannot hide them
_SCORE = {"value": float, "metric?": str, "protocol?": str, "rank?": float}
_BEST = {**_SCORE, "step": Whole()}
_STATE = {
    "step": Whole(),
    "groups": {str: Whole()},
    "hooks?": {str: dict},
    "model?": str,
    "model_args?": dict,
    "scale?": Whole(1),
    "recipe_hash?": str,
    "plugins?": [str],
    "origin?": dict,
    "score?": (_SCORE, None),
    "format?": Whole(_FORMAT, _FORMAT),
    "sha256?": {str: str},
}
_OWN = "state.json"
_log = logging.getLogger(__name__)


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
                about["format"] = _FORMAT
                about["sha256"] = {file.name: sha256_of(file) for file in sorted(part.iterdir())}
                (part / _OWN).write_text(_signed(about), encoding="utf-8")
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
        if not (path / _OWN).is_file():
            raise CheckpointError(f"{str(path)!r} is not a checkpoint: it has no state.json. {self._offer()}")
        state = read_state(path, self._offer())
        tensors = {
            group: read_tensors(path / f"{group}.ckpt", state, self._offer()) if n_tensors else {}
            for group, n_tensors in state["groups"].items()
        }
        return Checkpoint(path, tensors, state)

    def steps(self) -> list[int]:
        """Return the steps of all complete checkpoints, in rising order."""
        if not self.folder.is_dir():
            return []
        return sorted(
            int(p.name[5:]) for p in self.folder.iterdir() if _NAME.fullmatch(p.name) and p.is_dir()
        )

    def latest(self) -> Path | None:
        """Return the newest checkpoint, or ``None``. A damaged pointer is reported and not needed."""
        try:
            named = self._named_by("latest")
        except CheckpointError as error:
            _log.warning("%s Using the newest checkpoint.", error)
            named = None
        return named or (self.path(self.steps()[-1]) if self.steps() else None)

    def best(self) -> Path | None:
        """Return the checkpoint with the best score, or ``None``.

        Raises:
            CheckpointError: the pointer is damaged, so that it is not known which one is the best.
        """
        return self._named_by("best")

    def best_score(self) -> dict[str, Any] | None:
        """Return metric, protocol, value and step of the best checkpoint; or ``None``.

        They are in ``best.json``, and in the checkpoint itself. If ``best.json`` is damaged, the checkpoint's are used.

        Raises:
            CheckpointError: the pointer ``best`` or both places are damaged.
        """
        best, file = self.best(), self.folder / "best.json"
        if best is None or not file.exists():
            return None
        try:
            score = dict(read_json(file, _BEST))
            if self.path(int(score["step"])).name == best.name:
                return score  # otherwise a kill came between best.json and the pointer
            state = read_state(best)
            return {**state["score"], "step": state["step"]} if state.get("score") else None
        except CheckpointError as error:
            state = read_state(best)
            if not state.get("score"):
                raise
            _log.warning("%s Using the score in %s.", error, best / _OWN)
            return {**state["score"], "step": state["step"]}

    def mark_best(self, step: int, **score: Any) -> None:
        """Point ``best`` at the checkpoint of ``step``; write the score to ``best.json`` and into the checkpoint."""
        if self.writes:
            self.amend(step, score=score)  # so that a copy of the checkpoint has its score
            write_whole(self.folder / "best.json", _to_json({**score, "step": step}))
            write_whole(self.folder / "best", f"{self.path(step).name}\n")

    def amend(self, step: int, **values: Any) -> None:
        """Replace values in the ``state.json`` of a checkpoint."""
        if self.writes:
            folder = self.path(step)
            write_whole(folder / _OWN, _signed({**read_state(folder), **values}))

    def forget_after(self, step: int) -> None:
        """Delete checkpoints after ``step`` and pointers to them, because a run resumed at ``step`` writes its own.

        Hidden folders, which a killed process left, are deleted too.
        """
        if not self.writes:
            return
        for suffix in ("part", "old"):
            for left in self.folder.glob(f".step_[0-9]*.{suffix}"):
                shutil.rmtree(left, ignore_errors=True)
        for later in [s for s in self.steps() if s > step]:
            delete_folder(self.path(later))
        for name in ("latest", "best"):
            with contextlib.suppress(CheckpointError):
                if self._named_by(name) is not None:
                    continue
            (self.folder / name).unlink(missing_ok=True)

    def prune(self, keep: int) -> None:
        """Delete all but the newest ``keep`` checkpoints; keep those that ``latest`` and ``best`` name."""
        if not self.writes:
            return
        named = {self.latest(), self.best()}
        for step in self.steps()[:-keep]:
            if self.path(step) not in named:
                delete_folder(self.path(step))

    def _named_by(self, pointer: str) -> Path | None:
        """Return the checkpoint that a pointer names; ``None`` if there is no pointer, or no such checkpoint.

        Raises:
            CheckpointError: the pointer does not hold the name of a checkpoint.
        """
        file = self.folder / pointer
        try:
            name = read_text(file).strip()
            if not _NAME.fullmatch(name):
                raise ValueError(f"it holds {name[:40]!r} instead of the name of a checkpoint")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"the pointer {str(file)!r} is damaged: {reason_of(error)}. Write the name of a checkpoint into it, or "
                f"give a checkpoint instead of the run folder. {self._offer()}"
            ) from error
        return self.folder / name if (self.folder / name).is_dir() else None

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

    Raises:
        CheckpointError: there are no weights at ``path``, or its ``state.json`` is damaged.
    """
    file = find_weights_file(path)
    return file, read_state(file.parent) if (file.parent / _OWN).is_file() else {}


def find_weights_file(path: Path) -> Path:
    """Return the file with the weights at ``path``.

    ``path`` is a ``.ckpt`` file, a checkpoint folder, or a run folder, whose best checkpoint is used. If a checkpoint
    has averaged weights (EMA), they are returned, because the evaluation used them.

    Raises:
        CheckpointError: there are no weights at ``path``.
    """
    if path.is_file():
        return path
    if not path.exists():
        raise CheckpointError(
            f"{str(path)!r} does not exist. Give a .ckpt file, a step_… folder, or a run folder. The run folder of "
            f"recipes/NAME.py is runs/NAME, and runs/NAME_smoke with --smoke."
        )
    folder = find_checkpoint(path)
    averaged = folder / "ema.ckpt"
    return averaged if averaged.is_file() else folder / "model.ckpt"


def run_folder_of(file: Path) -> Path:
    """Return the run folder that a file of a checkpoint belongs to; the checkpoint's folder if it is in no run."""
    folder = file.absolute().parent
    return folder.parent.parent if folder.parent.name == "checkpoints" else folder


def read_state(path: Path, offer: str = "") -> dict[str, Any]:
    """Return the ``state.json`` of a checkpoint folder.

    Args:
        path: the folder.
        offer: the end of an error, which says what else there is.

    Raises:
        CheckpointError: it is damaged or was changed, or it belongs to a checkpoint of another step.
    """
    try:
        state = checked(read_text(path / _OWN), _STATE)
        if ("format" in state) != ("sha256" in state):
            raise ValueError("the hashes of the files are missing")
        if "sha256" in state and state["sha256"].get(_OWN) != _own_hash(state):
            raise ValueError("its content was changed after it was written")
        if _NAME.fullmatch(path.name) and int(path.name[5:]) != state["step"]:
            raise ValueError(f"it is of step {state['step']}")
        if odd := [group for group in state["groups"] if Path(f"{group}.ckpt").name != f"{group}.ckpt"]:
            raise ValueError(f"it names a group {odd[0]!r}, which cannot be a file")
    except (OSError, ValueError) as error:
        raise _broken(path / _OWN, error, offer) from error
    return dict(state)


def read_tensors(file: Path, state: Mapping[str, Any], offer: str = "") -> dict[str, ms.Parameter]:
    """Return the tensors of a ``.ckpt`` file.

    Args:
        file: the file.
        state: the ``state.json`` beside it, or nothing. If it has a hash of the file, the file must have that hash.
        offer: the end of an error, which says what else there is.

    Raises:
        CheckpointError: the file is missing, is damaged, or belongs to another checkpoint.
    """
    try:
        wanted = state.get("sha256", {}).get(file.name)
        if wanted is None and "sha256" in state:
            raise ValueError("state.json does not list it, so it belongs to another checkpoint")
        if wanted != sha256_of(file) and wanted is not None:
            raise ValueError(
                "its SHA-256 is not the one in state.json: it is damaged, or of another checkpoint"
            )
        return dict(ms.load_checkpoint(str(file), crc_check=True))
    except Exception as error:  # protobuf and MindSpore raise errors of many kinds for damaged files
        if not state:
            raise CheckpointError(
                f"{str(file)!r} is not a MindSpore checkpoint that can be read: {first_line(error).rstrip('.')}."
            ) from error
        raise _broken(file, error, offer) from error


def _broken(file: Path, error: Exception, offer: str) -> CheckpointError:
    says = f"the checkpoint file {str(file)!r} is broken: {first_line(error).rstrip('.')}. {offer}"
    return CheckpointError(says.rstrip())


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


def _signed(state: Mapping[str, Any]) -> str:
    """Return the text of a ``state.json`` with the hash of its own content."""
    hashes = {**state["sha256"], _OWN: _own_hash(state)} if "sha256" in state else None
    return _to_json({**state, **({"sha256": hashes} if hashes else {})})


def _own_hash(state: Mapping[str, Any]) -> str:
    """Return the hash of a state as JSON, without itself."""
    hashes = {name: value for name, value in state["sha256"].items() if name != _OWN}
    return hashlib.sha256(json.dumps({**state, "sha256": hashes}, sort_keys=True).encode()).hexdigest()
